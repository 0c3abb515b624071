from __future__ import annotations

import errno
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli.app import STACK_VERBS, _report, app, hoist
from cli.display import PlainDisplay, elapsed

ROOT = Path(__file__).resolve().parents[2]
VERBS = ["up", "preview", "destroy", "status", "top", "outputs", "logs", "smoke", "env", "graph"]
VERBS += ["test", "uninstall", "version"]
GROUPS = ["cluster", "images"]


def run(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "COLUMNS": "160", "NO_COLOR": "1", **environ}
    command = [sys.executable, "-m", "cli", *args]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_help_lists_every_verb() -> None:
    done = run("--help")

    assert done.returncode == 0
    assert "Usage: ./stampchat" in done.stdout
    assert [verb for verb in [*VERBS, *GROUPS] if f" {verb} " not in done.stdout] == []


def leaves(command: Any, *path: str) -> Iterator[tuple[str, ...]]:
    """List every verb that does something, with the groups that it is in."""
    inner = getattr(command, "commands", {})
    for name, child in inner.items():
        yield from leaves(child, *path, name)
    if not inner:
        yield path


@pytest.mark.parametrize("verb", ["up", "cluster", "cluster down", "secrets init"])
def test_a_verb_has_a_page(verb: str) -> None:
    done = run(*verb.split(), "--help")

    assert done.returncode == 0
    assert f"Usage: ./stampchat {verb}" in done.stdout


def test_every_page_has_an_example_and_says_what_each_option_does() -> None:
    """An example is a line that can be typed."""
    root: Any = typer.main.get_command(app)
    found = list(leaves(root))
    assert len(found) > 30
    for path in found:
        command = root
        for name in path:
            command = command.commands[name]
        assert re.search(rf"\./stampchat {' '.join(path)}", command.help or ""), path
        silent = [each.name for each in command.params if not getattr(each, "help", "") and not each.hidden]
        assert silent == [], path


def test_an_unknown_stack_is_one_paragraph_and_status_2(tmp_path: Path) -> None:
    done = run("up", "staging", STAMPCHAT_HOME=str(tmp_path / "home"))

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("stampchat: There is no stack 'staging'; this checkout has dev")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["up", "-q", "prod"], ["-q", "up", "prod"]),
        (["cluster", "down", "--debug"], ["--debug", "cluster", "down"]),
        (["test", "-q", "-x"], ["test", "-q", "-x"]),
        (["up", "--yes", "--stack", "prod"], ["up", "prod", "--yes"]),
        (["rollback", "12", "--stack=prod"], ["rollback", "prod", "12"]),
        (["preview", "-s", "prod", "--debug"], ["--debug", "preview", "prod"]),
        (["secrets", "check", "--stack", "prod"], ["secrets", "check", "--stack", "prod"]),
        (["up", "--stack"], ["up", "--stack"]),
        ([], []),
    ],
)
def test_global_options_and_the_stack_may_stand_anywhere(words: list[str], expected: list[str]) -> None:
    assert hoist(words) == expected


def test_an_unknown_verb_is_misuse() -> None:
    assert run("upp").returncode == 2


def test_what_is_not_confirmed_changes_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()

    done = run("uninstall", STAMPCHAT_HOME=str(kept), STAMPCHAT_CACHE=str(tmp_path / "cache"))

    assert done.returncode == 2
    assert "Not confirmed" in done.stderr
    assert kept.exists()


def test_where_nothing_was_put_there_is_nothing_to_remove(tmp_path: Path) -> None:
    done = run("uninstall", STAMPCHAT_HOME=str(tmp_path / "home"), STAMPCHAT_CACHE=str(tmp_path / "cache"))

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "Nothing was put on this machine, so there is nothing to remove.\n"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC])
def test_what_the_machine_refuses_is_no_fault_of_ours(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert _report(OSError(number, os.strerror(number), "/somewhere")) == 1

    told = capsys.readouterr().err
    assert re.fullmatch(r"stampchat: .* \(/somewhere\)\.\n.+\.\n", told)
    assert "fault of our own" not in told


def test_results_for_machines_are_json() -> None:
    assert json.loads(run("version", "--json").stdout)["stampchat"]


def test_a_log_gets_plain_lines() -> None:
    stream = io.StringIO()
    display = PlainDisplay(stream)

    display.begin("engine", "find the engine")
    display.note("building, about 3 minutes")
    display.note("building, about 3 minutes")
    display.line("kept")
    display.end("Pulumi 3 (build)", 61)

    assert [line.split() for line in stream.getvalue().splitlines()] == [
        ["...", "engine", "building,", "about", "3", "minutes"],
        ["engine", "kept"],
        ["done", "engine", "1", "min", "01", "s", "Pulumi", "3", "(build)"],
    ]


@pytest.mark.parametrize(
    ("seconds", "expected"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (185, "3 min 05 s")]
)
def test_durations_read_as_a_person_says_them(seconds: float, expected: str) -> None:
    assert elapsed(seconds) == expected


def test_every_verb_takes_its_stack_by_option() -> None:
    """Either the parser knows the option, or the word is put where it looks for it."""
    commands = getattr(typer.main.get_command(app), "commands", {})
    positional = {
        name
        for name, command in commands.items()
        if any(parameter.name == "stack" and parameter.param_type_name == "argument" for parameter in command.params)
    }

    assert positional == set(STACK_VERBS)
