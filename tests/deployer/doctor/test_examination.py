"""The whole examination: what it takes to go, and that looking changes nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.doctor import examination
from deployer.doctor.examination import examine
from deployer.doctor.model import Examination, Finding
from deployer.doctor.telling import lines
from deployer.needs import find_needs
from deployer.workspace import ROOT, Workspace

OK = Finding("machine", "system", "ok", "Linux")
AWAY = Finding("tools", "go", "missing", "not on PATH", "Install Go")
NOTE = Finding("network", "releases", "note", "not reached")


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=ROOT, home=tmp_path / "home", cache=tmp_path / "cache")


def test_an_empty_cache_needs_all_of_it_and_looking_makes_nothing(workspace: Workspace, tmp_path: Path) -> None:
    needs = find_needs(workspace)

    assert needs.cold
    assert any("Kubernetes" in part for part in needs.builds)
    assert len(needs.packages) == 2
    assert list(tmp_path.iterdir()) == []


def test_what_is_missing_decides_and_a_note_does_not(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("examine_machine", "examine_kernel", "examine_tools"):
        monkeypatch.setattr(examination, name, lambda *_, **__: iter([OK]))
    monkeypatch.setattr(examination, "examine_network", lambda _: iter([NOTE]))
    assert examine(workspace).ready

    monkeypatch.setattr(examination, "examine_tools", lambda *_: iter([AWAY]))
    found = examine(workspace)

    assert not found.ready
    assert found.missing == [AWAY]
    assert any(str(workspace.cache) in change for change in found.changes)


def test_people_read_the_remedy_under_what_is_missing() -> None:
    told = list(lines(Examination((OK, AWAY, NOTE), 10 << 30, 4 << 30, ("a folder",), "long")))

    at = next(at for at, line in enumerate(told) if line.startswith("tools    MISSING  go"))
    assert told[at + 1].strip() == "-> Install Go"
    assert "  a folder" in told
    assert told[-1] == (
        "`./stampchat up` cannot go yet: one thing is missing (go). It takes 10 GiB of disk and 4 GiB of memory."
    )


def test_it_runs_on_the_standard_library_alone(tmp_path: Path) -> None:
    """Where no package can be had, it has to say so."""
    code = "import deployer.doctor.__main__, sys; print(sorted({'yaml', 'typer', 'grpc', 'pulumi'} & set(sys.modules)))"
    environ = {"PYTHONPATH": str(ROOT), "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}

    done = subprocess.run([sys.executable, "-S", "-c", code], env=environ, capture_output=True, text=True, check=True)

    assert json.loads(done.stdout) == []
