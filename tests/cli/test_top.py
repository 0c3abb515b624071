"""`top` on terminals of any width, on none, and what it leaves of a terminal behind."""

from __future__ import annotations

import fcntl
import io
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from cli.app import app
from cli.still import draw
from cli.top_columns import COLUMNS, choose, duration
from cli.top_view import View, shorten, sparkline
from deployer.errors import DeployError
from deployer.top import Certificate, Database, Picture, Row, as_plain
from deployer.top.picture import Condition, add_up, in_order

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60.0


def row(name: str, service: str, condition: Condition = "ok", *problems: str, **figures: float) -> Row:
    ready = condition != "failing"
    return Row(f"stamp-chat-{name}", "stampchat", service, "Running", ready, 0, condition, problems, {}, dict(figures))


def picture(*rows: Row) -> Picture:
    ordered = in_order(rows)
    return Picture(
        stack="dev",
        cluster="stampchat-ff9099",
        time="2026-11-28T23:20:00+00:00",
        seconds=2.0,
        rows=ordered,
        missing=(),
        totals=add_up(ordered, {}),
        databases=(Database("auth", "failing: no answer in time", 0, 10, None), Database("chat", "ok", 3, 10, 0.001)),
        certificate=Certificate("2027-02-01T00:00:00Z", 64.6, ""),
    )


SEEN = picture(
    row("channels-7d9f6c5b8-x1abc", "chat", sockets=120.0, messages_per_second=400.4, message_p99_seconds=0.0123),
    row("auth-7d9f6c5b8-x2abc", "auth", "failing", "it is not ready", "its database: no answer in time"),
    row("notifications-7d9f6c5b8-x3abc", "notifications", "warning", "its metrics did not come within 3 s"),
)


def lines(view: View, width: int, height: int | None = None) -> list[str]:
    console = Console(width=width, file=io.StringIO())
    options = console.options if height is None else console.options.update(height=height)
    return ["".join(part.text for part in line).rstrip() for line in console.render_lines(view, options, pad=False)]


@pytest.mark.parametrize("width", [20, 40, 80, 118, 200])
def test_no_line_is_wider_than_the_terminal_and_nothing_that_fails_is_left_out(width: int) -> None:
    shown = lines(View(SEEN, hint="q ends"), width)

    assert [line for line in shown if len(line) > width] == []
    told = re.sub(r"\s+", " ", " ".join(shown))
    assert "1 failing, 1 warning" in told
    assert "It is not ready; its database: no answer in time." in told
    assert "Its metrics did not come within 3 s." in told
    assert shown[-1] == "q ends"


@pytest.mark.parametrize(
    ("certificate", "told"),
    [
        (Certificate("2027-02-01T00:00:00Z", 64.6, ""), "certificate 65 days"),
        (Certificate("", None, "Challenge a: pending, no such host"), "certificate none yet"),
        (None, ""),
    ],
)
def test_the_certificate_has_its_days_or_the_reason_why_there_is_none(
    certificate: Certificate | None, told: str
) -> None:
    """Of a stack without one nothing is said."""
    shown = "\n".join(lines(View(replace(SEEN, certificate=certificate)), 80))

    assert told in shown
    assert ("certificate" in shown.lower()) == bool(certificate)
    assert ("Certificate: Challenge a: pending, no such host.\n" in shown) == bool(certificate and certificate.problem)


def test_a_service_without_a_pod_is_missed() -> None:
    """Nobody else would say it."""
    seen = replace(picture(SEEN.rows[2]), missing=("auth", "notifications"))

    assert seen.condition == "failing"
    assert "UTC: no pod of auth, no pod of notifications" in lines(View(seen), 118)[0]


def test_a_narrow_terminal_does_without_columns_and_a_wide_one_has_all() -> None:
    assert [column.title for column in choose(40)[1]] == ["state", "p99"]
    assert len(choose(80)[1]) > 4
    assert list(choose(200)[1]) == list(COLUMNS)


def test_the_failing_stand_first_also_where_there_is_no_room_for_all() -> None:
    pods = [row(f"channels-{number}", "chat") for number in range(50)]
    shown = lines(View(picture(*pods, SEEN.rows[0]), hint="q ends"), 80, height=12)

    assert len(shown) == 12
    assert "auth-7d9" in "".join(shown)
    assert re.search(r"… \d+ more lines", "\n".join(shown))


def test_figures_stand_in_their_columns() -> None:
    shown = lines(View(SEEN), 200)
    titles = next(line for line in shown if line.startswith("pod"))
    chat = next(line for line in shown if line.startswith("channels-"))

    for title, figure in (("sockets", "120"), ("msg/s", "400"), ("msg p99", "12 ms"), ("p99", "12 ms"), ("lag", "-")):
        end = re.search(rf"(?<=  ){title}\b", titles)
        assert end is not None
        assert chat[: end.end()].split("  ")[-1].strip() == figure


def test_the_machines_form_is_json_with_seconds_and_counts() -> None:
    found = json.loads(json.dumps(as_plain(SEEN), allow_nan=False))

    assert found["condition"] == "failing"
    assert found["totals"]["sockets"] == 120
    assert [each["service"] for each in found["rows"]] == ["auth", "notifications", "chat"]
    assert found["rows"][2]["figures"]["message_p99_seconds"] == 0.0123
    assert found["certificate"]["days"] == 64.6


def test_the_still_is_a_picture_that_loads_nothing() -> None:
    drawn = draw(View(SEEN), "./stampchat top")

    ET.fromstring(drawn)  # noqa: S314  # our own drawing
    assert "x2abc" in drawn
    assert re.findall(r"https?://(?!www\.w3\.org/2000/svg)[^\"' ]+", drawn) == []
    assert "@font-face" not in drawn


@pytest.mark.parametrize(
    ("seconds", "text"), [(None, "-"), (0.00042, "0.4 ms"), (0.0123, "12 ms"), (0.999, "999 ms"), (1.23, "1.2 s")]
)
def test_a_latency_is_short_and_has_its_unit(seconds: float | None, text: str) -> None:
    assert duration(seconds) == text


def test_a_name_is_cut_in_its_middle_and_a_curve_needs_two_points() -> None:
    assert shorten("channels-7d9f6c5b8-x1abc", 16) == "channels-…-x1abc"
    assert sparkline([1]) == ""
    assert sparkline([0, 4, 8]) == "▁▅█"


# A deployment that is as the tests' own, looked at by the very loop that looks at a real one.
LIVE = """
import sys
from cli.top_live import watch_live
from deployer.errors import DeployError
from tests.cli.test_top import SEEN
class Watch:
    looks = 0
    def look(self):
        self.looks += 1
        if self.looks == 2:
            raise DeployError("The cluster does not answer.", said="timed out")
        return SEEN
try:
    watch_live(Watch(), 0.5)
except KeyboardInterrupt:
    sys.exit(0)
"""


@contextmanager
def terminal(columns: int) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """Run the live view on a terminal of its own; hand out the process and both ends."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 30, columns, 0, 0))
    process = subprocess.Popen(
        [sys.executable, "-c", LIVE],
        cwd=ROOT,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        env={key: value for key, value in os.environ.items() if key not in {"COLUMNS", "LINES"}}
        | {"TERM": "xterm-256color", "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process, ours, theirs
    finally:
        process.kill()
        process.wait()
        os.close(ours)
        os.close(theirs)


def read_until(ours: int, words: bytes) -> bytes:
    """Return what the terminal was sent until some words came."""
    got, deadline = b"", time.monotonic() + SECONDS
    while words not in got:
        assert time.monotonic() < deadline, got.decode(errors="replace")
        if select.select([ours], [], [], 1)[0]:
            got += os.read(ours, 65536)
    return got


@pytest.mark.parametrize("end", ["q", "Ctrl-C"])
@pytest.mark.parametrize("columns", [40, 80])
def test_it_is_live_ends_cleanly_and_leaves_the_terminal_as_it_was(end: str, columns: int) -> None:
    """A cluster that does not answer meanwhile is told, and asked again."""
    with terminal(columns) as (process, ours, theirs):
        before = termios.tcgetattr(theirs)
        begun = read_until(ours, b"trying again.")
        assert b"\x1b[?1049h" in begun
        assert b"x2abc" in begun
        assert termios.tcgetattr(theirs) != before
        if end == "q":
            os.write(ours, b"q")
        else:
            process.send_signal(signal.SIGINT)
        ended = read_until(ours, b"\x1b[?1049l")

        assert process.wait(SECONDS) == 0
        assert b"Traceback" not in begun + ended
        assert b"\x1b[?25h" in ended + (os.read(ours, 65536) if select.select([ours], [], [], 1)[0] else b"")
        assert termios.tcgetattr(theirs) == before


def test_without_a_cluster_it_says_what_makes_one(tmp_path: Path) -> None:
    """And a pipe is told that it gets no live view."""
    environment = {**os.environ, "STAMPCHAT_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-m", "cli", "top"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode in {1, 2}
    assert "Traceback" not in done.stderr
    assert "./stampchat up" in done.stderr


class Looking:
    """Be a deployment that is as it is."""

    def __init__(self, *_: object) -> None:
        pass

    def look(self) -> Picture:
        return SEEN


class LookingAtNothing(Looking):
    """Be one that was never made."""

    def look(self) -> Picture:
        return replace(SEEN, rows=())


def run(monkeypatch: pytest.MonkeyPatch, watch: type[Looking], *words: str) -> Result:
    monkeypatch.setattr("deployer.top.Watch", watch)
    return CliRunner().invoke(app, ["top", "--interval", "0.5", *words])


def test_where_there_is_no_terminal_it_is_shown_once_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """On standard error, in one sentence; the figures are the result."""
    done = run(monkeypatch, Looking)

    assert done.exit_code == 0
    assert done.stderr == "This is no terminal that can be redrawn, so it is shown once, as --once does.\n"
    assert "It is not ready; its database: no answer in time." in done.stdout
    assert "\x1b" not in done.stdout


def test_once_says_nothing_of_terminals_and_json_is_all_there_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With and without a picture beside it."""
    plain, machine = run(monkeypatch, Looking, "--once"), run(monkeypatch, Looking, "--json")
    drawn = run(monkeypatch, Looking, "--svg", str(tmp_path / "top.svg"))

    assert plain.stderr == machine.stderr == drawn.stderr == ""
    assert json.loads(machine.stdout)["rows"][0]["service"] == "auth"
    assert drawn.stdout == ""
    assert "x2abc" in (tmp_path / "top.svg").read_text(encoding="utf-8")


def test_with_nothing_deployed_it_says_what_deploys(monkeypatch: pytest.MonkeyPatch) -> None:
    done = run(monkeypatch, LookingAtNothing, "--once")

    assert isinstance(done.exception, DeployError)
    assert str(done.exception) == "Nothing is deployed.\n`./stampchat up` deploys."
