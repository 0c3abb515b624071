from __future__ import annotations

import sys
from pathlib import Path

import pytest

from deployer import test
from deployer.test import Check, Verdict, checks, run_checks
from deployer.workspace import Workspace


def test_pytest_comes_last_and_gets_what_the_user_wrote() -> None:
    listed = checks(["-m", "not e2e"])

    assert [check.name for check in listed] == ["format", "lint", "types", "arrows", "tests"]
    assert listed[-1].command[-4:] == ("-m", "pytest", "-m", "not e2e")


def test_every_check_runs_and_every_failure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    def python(name: str, code: str) -> Check:
        return Check(name, (sys.executable, "-c", code))

    listed = [python("one", "print('bad'); raise SystemExit(1)"), python("two", "print('fine')")]
    monkeypatch.setattr(test, "checks", lambda _: [*listed, python("tests", "print('1 passed')")])
    told: list[Verdict] = []

    verdicts = run_checks(Workspace(tmp_path, tmp_path, tmp_path), [], told.append)

    said = capfd.readouterr()
    assert [(verdict.name, verdict.status) for verdict in verdicts] == [("one", 1), ("two", 0), ("tests", 0)]
    assert [verdict.name for verdict in told] == ["one", "two"]
    assert said.err == "bad\n"
    assert said.out == "1 passed\n"
