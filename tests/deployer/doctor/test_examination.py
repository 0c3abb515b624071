"""The whole examination: what it takes to go, and that looking changes nothing."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.cluster import Where, load_instance
from deployer.doctor import examination
from deployer.doctor.examination import examine
from deployer.doctor.model import Examination, Finding
from deployer.doctor.place import find_ground
from deployer.doctor.telling import lines
from deployer.ground import choose_where
from deployer.needs import find_needs
from deployer.stack_file import load_stack_file
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


@pytest.fixture
def kind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    """A checkout whose cluster kind makes, for somebody who is not root; kind and Docker answer."""
    root = tmp_path / "checkout"
    root.mkdir()
    for entry in ROOT.iterdir():
        if entry.name[0] != "." and entry.name != "Pulumi.dev.yaml":
            (root / entry.name).symlink_to(entry)
    (root / "Pulumi.dev.yaml").write_text("config:\n  stampchat:place: dev\n  stampchat:cluster: kind\n")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(examination, "examine_network", lambda _: iter([NOTE]))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)
    (tmp_path / "bin").mkdir()
    for name, said in (("kind", "kind v0.30.0 go1.24.6 linux/amd64"), ("docker", "28.0.1")):
        put(tmp_path / "bin" / name, f"echo '{said}'")
    return Workspace(root=root, home=tmp_path / "home", cache=tmp_path / "cache")


def put(program: Path, script: str) -> None:
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)


def test_a_cluster_in_docker_wants_no_root_and_nothing_of_the_kernel(kind: Workspace) -> None:
    found = examine(kind)

    told = {finding.name: finding for finding in found.findings}
    assert (told["rights"].state, told["kind"].state) == ("ok", "ok")
    assert told["kind"].said == "0.30.0, and Docker answers"
    assert not [finding for finding in found.findings if finding.group == "kernel"]
    assert "ip" not in told
    assert not any("Kubernetes" in part for part in find_needs(kind, "kind").all)
    assert any("in Docker" in change for change in found.changes)
    assert not any("network namespace" in change for change in found.changes)


def test_a_docker_that_is_away_stops_a_cluster_in_it(kind: Workspace, tmp_path: Path) -> None:
    put(tmp_path / "bin" / "docker", "echo 'Cannot connect to the Docker daemon' >&2; exit 1")

    missing = {finding.name: finding for finding in examine(kind).missing}

    assert missing["kind"].said == "Docker does not answer."
    assert "systemctl start docker" in missing["kind"].remedy


@pytest.mark.parametrize(
    ("lines", "ground"),
    [
        ("", "embedded"),
        ("  # stampchat:cluster: kind\n", "embedded"),
        ("  stampchat:cluster: k3d  # for all of us\n", "k3d"),
        ('  "stampchat:cluster": "kind"\n', "kind"),
        ("  stampchat:context: mine\n", "context"),
        ("  stampchat:context: mine\n  stampchat:cluster: embedded\n", "embedded"),
    ],
)
def test_the_ground_is_read_as_up_chooses_it(tmp_path: Path, lines: str, ground: str) -> None:
    workspace = Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")
    file = tmp_path / "Pulumi.dev.yaml"
    file.write_text(f"config:\n  stampchat:place: dev\n{lines}")
    chosen = choose_where(workspace, load_stack_file(file))

    assert find_ground(workspace) == ground == (chosen.ground if chosen else "embedded")


def test_without_a_word_it_stays_where_it_is(tmp_path: Path) -> None:
    workspace = Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")
    load_instance(workspace, where=Where("k3d"))

    assert find_ground(workspace) == "k3d"


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
