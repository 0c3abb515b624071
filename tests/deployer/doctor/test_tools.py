"""A program that is away is missing only where something is wanted of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from deployer.doctor.model import Finding
from deployer.doctor.tools import examine_tools, go_version, needed_go
from deployer.needs import Needs
from deployer.workspace import ROOT, Workspace, load_workspace

ALL = Needs(builds=("Kubernetes",), packages=("2 Debian packages",), wheels=("the images' layers",))


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH on which there is what a test puts there, and nothing else."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(
        "deployer.doctor.tools.find_go", lambda: str(tmp_path / "go") if (tmp_path / "go").exists() else None
    )
    return tmp_path


def put(folder: Path, name: str, said: str, status: int = 0) -> None:
    (folder / name).write_text(f"#!/bin/sh\necho '{said}'\nexit {status}\n")
    (folder / name).chmod(0o755)


def examined(needs: Needs) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine_tools(load_workspace(), needs)}


def test_what_is_away_is_missing_with_the_way_to_get_it(programs: Path) -> None:
    del programs
    found = examined(ALL)

    assert {name: found[name].state for name in ("ip", "go", "apt")} == dict.fromkeys(("ip", "go", "apt"), "missing")
    assert found["ip"].remedy == "apt-get install iproute2"
    assert "https://go.dev/dl" in found["go"].remedy
    assert "./stampchat bundle FILE" in found["apt"].remedy


def test_a_full_cache_wants_neither_go_nor_apt(programs: Path) -> None:
    put(programs, "ip", "")

    found = examined(Needs())

    assert {finding.state for finding in found.values()} == {"ok"}


def test_a_go_that_is_too_old_is_missing_only_for_a_build(programs: Path) -> None:
    put(programs, "go", "go1.19.8")

    cold, warm = examined(ALL)["go"], examined(Needs())["go"]

    assert (cold.state, warm.state) == ("missing", "note")
    assert cold.said.startswith("go1.19.8, not 1.")


def test_a_docker_whose_daemon_is_away_is_named_as_that(programs: Path) -> None:
    put(programs, "docker", "Cannot connect to the Docker daemon", status=1)
    put(programs, "kind", "")

    assert examined(ALL)["other grounds"].said.startswith("docker (its daemon does not answer), kind;")


def test_versions_of_go_are_read_as_it_says_them(tmp_path: Path) -> None:
    assert go_version("go version go1.26.1 linux/arm64") == (1, 26)
    assert go_version("go1.27rc1") == (1, 27)
    assert go_version("") is None
    module = tmp_path / "deployer" / "engine" / "go"
    module.mkdir(parents=True)
    (module / "go.mod").write_text("module x\n\ngo 1.31.4\n")
    assert needed_go(tmp_path) == (1, 31)
    assert needed_go(ROOT) >= (1, 26)


def test_nothing_is_cold_where_nothing_is_to_be_built(tmp_path: Path) -> None:
    del tmp_path
    assert ALL.cold
    assert not Needs(packages=("x",)).cold
    assert isinstance(load_workspace(), Workspace)
