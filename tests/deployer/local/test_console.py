from __future__ import annotations

import io
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.local.console import Console, last_words

MakeConsole = Callable[..., Console]

TIME = "2026-11-24T10:00:00+00:00"
REQUEST = json.dumps(
    {"time": TIME, "level": "info", "service": "chat", "message": "request", "status": 200, "path": "/a b"}
)
FAILED = json.dumps({"time": TIME, "level": "error", "service": "chat", "message": "broke", "exception": "Trace\n  x"})


def shown(stream: io.StringIO) -> list[str]:
    """Return the lines without their clock."""
    return [re.sub(r"^\d\d:\d\d:\d\d ", "", line) for line in stream.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("name", "text", "lines"),
    [
        ("chat", REQUEST, ['chat          request  status=200 path="/a b"']),
        ("chat", FAILED, ["chat          error broke", "chat          | Trace", "chat          |   x"]),
        ("auth", "ImportError: no", ["auth          ImportError: no"]),
        ("auth", "{not json", ["auth          {not json"]),
        ("auth", "[1]", ["auth          [1]"]),
        ("postgres", "LOG:  checkpoint", []),
        ("postgres", "ERROR:  no such table", ["postgres      error no such table"]),
        ("chat", "\x1b[2Jgone\x07", ["chat          \\x1b[2Jgone\\x07"]),
        ("notifications", "é ok", ["notifications é ok"]),
    ],
)
def test_a_line_is_shown_as_a_person_reads_it(
    console: Console, stream: io.StringIO, name: str, text: str, lines: list[str]
) -> None:
    console.line(name, text)

    assert shown(stream) == lines


def test_machines_get_json_lines_each_with_its_service(make_console: MakeConsole, stream: io.StringIO) -> None:
    console = make_console(as_json=True, colour=True)

    for name, text in (("chat", REQUEST), ("gateway", '{"level":"error","message":"x"}'), ("auth", "plain")):
        console.line(name, text)
    console.show(["a greeting for people"])
    console.tell("serving", url="http://127.0.0.1:8080")

    records = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [(record["service"], record["message"]) for record in records] == [
        ("chat", "request"),
        ("gateway", "x"),
        ("auth", "plain"),
        ("local", "serving"),
    ]
    assert records[0] == json.loads(REQUEST)


def test_colours_are_there_only_where_they_are_wanted(make_console: MakeConsole) -> None:
    plain, painted = io.StringIO(), io.StringIO()
    make_console(plain).line("chat", FAILED)
    make_console(painted, colour=True).line("chat", FAILED)

    assert "\033" not in plain.getvalue()
    assert re.sub(r"\033\[\d+m", "", painted.getvalue()) == plain.getvalue()
    assert "\033[31merror" in painted.getvalue()


def test_quiet_shows_what_went_wrong_alone(make_console: MakeConsole, stream: io.StringIO, tmp_path: Path) -> None:
    console = make_console(quiet=True)

    for text in (REQUEST, FAILED, "plain"):
        console.line("chat", text)

    assert shown(stream)[0] == "chat          error broke"
    assert (tmp_path / "logs" / "chat.log").read_text().splitlines() == [REQUEST, FAILED, "plain"]


def test_a_reader_who_left_is_noticed_and_not_written_to_again(make_console: MakeConsole, tmp_path: Path) -> None:
    class Gone(io.StringIO):
        def write(self, _: str) -> int:
            raise BrokenPipeError

    console = make_console(Gone())
    console.line("chat", "one")
    console.line("chat", "two")

    assert console.deaf
    assert (tmp_path / "logs" / "chat.log").read_text() == "one\ntwo\n"


def test_logs_that_cannot_be_written_are_said_once(console: Console, stream: io.StringIO, tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file where the folder would be")

    console.line("chat", "one")
    console.line("chat", "two")

    assert [line.split()[0] for line in shown(stream)] == ["local", "chat", "chat"]
    assert "cannot be written" in shown(stream)[0]


def test_a_long_log_of_an_earlier_start_is_put_aside(
    console: Console, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployer.local.console._KEPT_BYTES", 10)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "chat.log").write_text("of an earlier start\n")

    console.line("chat", "new")

    assert (tmp_path / "logs" / "chat.log").read_text() == "new\n"
    assert (tmp_path / "logs" / "chat.old.log").read_text() == "of an earlier start\n"


def test_last_words_are_those_of_the_message() -> None:
    assert last_words(FAILED) == "broke"
    assert last_words("  ImportError: no\x07 ") == "ImportError: no\\x07"
