from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import deployer.local
from cli.app import app
from cli.local import wants_colour
from deployer.local import LocalOptions


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[LocalOptions]:
    seen: list[LocalOptions] = []

    def run(_: Any, options: LocalOptions, __: Any) -> int:
        seen.append(options)
        return 130

    monkeypatch.setattr(deployer.local, "run", run)
    return seen


def test_without_options_it_is_this_machines_alone_and_keeps_its_data(asked: list[LocalOptions]) -> None:
    done = CliRunner().invoke(app, ["local"])

    assert done.exit_code == 130
    assert (asked[0].port, asked[0].lan, asked[0].fresh, asked[0].firebase) == (None, False, False, None)


def test_every_option_arrives(asked: list[LocalOptions]) -> None:
    words = ["--port", "9000", "--lan", "--fresh", "--yes", "--firebase", "a.json", "--project-id", "p", "--json"]

    CliRunner().invoke(app, ["--quiet", "local", *words])

    options = asked[0]
    assert (options.port, options.lan, options.fresh, options.quiet, options.as_json) == (9000, True, True, True, True)
    assert (options.firebase, options.project_id) == (Path("a.json"), "p")
    assert options.confirm("All is about to go.")


@pytest.mark.parametrize("words", [["--port", "0"], ["--port", "65536"], ["--port", "web"], ["extra"]])
def test_what_makes_no_sense_is_refused(asked: list[LocalOptions], words: list[str]) -> None:
    assert CliRunner().invoke(app, ["local", *words]).exit_code == 2
    assert asked == []


@pytest.mark.parametrize(
    ("terminal", "environ", "wanted"),
    [
        (True, {"TERM": "xterm"}, True),
        (True, {"TERM": "xterm", "NO_COLOR": ""}, True),
        (True, {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
        (False, {"TERM": "xterm"}, False),
    ],
)
def test_colours_are_for_terminals_whose_user_wants_them(
    monkeypatch: pytest.MonkeyPatch,
    terminal: bool,  # noqa: FBT001  # a table's column
    environ: dict[str, str],
    wanted: bool,  # noqa: FBT001  # the same
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys.stdout, "isatty", lambda: terminal, raising=False)

    assert wants_colour() is wanted
