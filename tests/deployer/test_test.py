from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from deployer import test
from deployer.test import Check, Verdict, checks, run_checks, spread
from deployer.workspace import ROOT, Workspace

TIDY = """
import pathlib, signal, time
try:
    print("up", flush=True)
    signal.pause()
except KeyboardInterrupt:
    time.sleep(1)
    pathlib.Path("tidied").touch()
"""


def test_pytest_comes_last_and_gets_what_the_user_wrote() -> None:
    listed = checks(["-m", "not e2e"])

    assert [check.name for check in listed] == ["format", "lint", "types", "arrows", "tests"]
    assert listed[-1].command[1:3] == ("-m", "pytest")
    assert listed[-1].command[-2:] == ("-m", "not e2e")


@pytest.mark.parametrize("said", [["-n0"], ["-n", "8"], ["-p", "no:xdist"], ["-x", "-pno:xdist"]], ids=" ".join)
def test_who_says_how_many_processes_is_not_contradicted(said: list[str]) -> None:
    assert spread(said) == []
    assert spread(["-k", "one"])[0].startswith("-n")


def test_ctrl_c_waits_for_what_a_check_has_to_put_away(tmp_path: Path) -> None:
    """The terminal tells every process of the group; ours must not end, and so kill, one that tidies up."""
    code = (
        "import signal, sys; from pathlib import Path; from deployer import test\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        f"test._run([sys.executable, '-c', {TIDY!r}], Path({str(tmp_path)!r}), live=True)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, start_new_session=True
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"up\n"
        os.killpg(run.pid, signal.SIGINT)
        _, said = run.communicate()

    assert (tmp_path / "tidied").exists(), said.decode()
    assert run.returncode != 0


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
