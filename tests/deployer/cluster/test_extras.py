"""What a cluster does without until it is built."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from deployer.cluster.embedded import extras as subject
from deployer.cluster.embedded.builds import Program, place
from deployer.cluster.embedded.extras import EXTRAS, Extra, build_extras
from deployer.cluster.instance import choose, instance_name, stored_instance
from deployer.cluster.model import Choice, Instance
from deployer.errors import DeployError
from deployer.report import Report, Silent
from deployer.workspace import ROOT, Workspace
from tests.deployer.cluster.pods import eventually

BROKEN = "exit status 1: no such module"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Use a cache in which nothing is built."""
    return Workspace(root=ROOT, home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def instance(workspace: Workspace) -> Instance:
    return Instance(instance_name(workspace.home), 7, 8081)


@pytest.fixture
def spawned(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Keep what would be built in the background."""
    found: list[list[str]] = []
    monkeypatch.setattr(subject, "_spawn", lambda _, names: found.append(list(names)))
    return found


def _fail(*_: object) -> None:
    raise DeployError(BROKEN)


def _build(name: str, program: Program, workspace: Workspace, _: Report) -> None:
    file = place(name, program, workspace.cache)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("a program")


def test_what_is_missing_is_built_in_the_background(
    workspace: Workspace, instance: Instance, spawned: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for it, and what is there is not built again."""
    told = subject.begin(workspace, instance)

    assert spawned == [[extra.name for extra in EXTRAS]]
    for extra in EXTRAS:
        assert told[extra.name] == f"being built in the background; until then {extra.without}"

    monkeypatch.setattr(subject, "build", _build)
    build_extras(workspace, EXTRAS, Silent())

    assert subject.begin(workspace, instance) == {}
    assert subject.standing(workspace) == {}
    assert len(spawned) == 1


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.name)
def test_what_is_not_wanted_is_not_built_and_not_told_of(
    workspace: Workspace, instance: Instance, spawned: list[list[str]], extra: Extra
) -> None:
    """The choice is kept, and an earlier version still reads the file."""
    without = choose(workspace, instance, Choice(**{extra.choice: False}))

    assert extra.name not in subject.begin(workspace, without)
    assert extra.name not in {name for names in spawned for name in names}
    assert extra.name not in subject.file_names(workspace, without)
    assert stored_instance(workspace) == without
    assert choose(workspace, without, Choice()) == without
    choose(workspace, without, Choice(**{extra.choice: True}))
    assert extra.choice not in workspace.instance.read_text()


def test_a_build_that_fails_is_told_keeps_no_other_from_being_built_and_is_not_begun_again(
    workspace: Workspace, instance: Instance, spawned: list[list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """But whoever asks for it by name has it tried."""
    monkeypatch.setattr(subject, "build", _fail)
    with pytest.raises(DeployError, match=BROKEN):
        build_extras(workspace, EXTRAS, Silent())

    told = subject.begin(workspace, instance)

    assert spawned == []
    assert set(told) == {extra.name for extra in EXTRAS}
    assert all(BROKEN in reason and "`./stampchat cluster extras` tries again" in reason for reason in told.values())
    assert subject.standing(workspace) == told
    monkeypatch.setattr(subject, "build", _build)
    build_extras(workspace, EXTRAS, Silent())
    assert subject.begin(workspace, instance) == {}


@pytest.fixture
def building(workspace: Workspace, tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Build for ever, as the background does: in a group of its own, with a compiler that is a child of it."""
    forever = f"import time; open({str(tmp_path / 'up')!r}, 'w'); time.sleep(600)"
    code = (
        "import subprocess, sys\nfrom deployer.cluster.embedded import extras\n"
        "from deployer.workspace import load_workspace\n"
        f"extras.build = lambda *_: subprocess.run([sys.executable, '-c', {forever!r}])\n"
        "extras.build_extras(load_workspace(), extras.EXTRAS, None)"
    )
    environ = os.environ | {"STAMPCHAT_CACHE": str(workspace.cache), "STAMPCHAT_HOME": str(workspace.home)}
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, env=environ, start_new_session=True) as process:
        try:
            eventually((tmp_path / "up").exists, "a build")
            yield process
        finally:
            process.kill()


def test_a_build_under_way_is_seen_and_can_be_ended(
    workspace: Workspace, instance: Instance, spawned: list[list[str]], building: subprocess.Popen[bytes]
) -> None:
    """No second one begins; whoever takes the cache away ends it first, its compilers too."""
    assert subject.is_building(workspace)
    told = subject.begin(workspace, instance).values()
    assert all(reason.startswith("being built in the background") for reason in told)
    assert all(reason.startswith("being built (") for reason in subject.standing(workspace).values())
    assert spawned == []

    subject.end(workspace)

    assert building.wait(timeout=60) != 0
    assert not subject.is_building(workspace)
    eventually(lambda: not _members(building.pid), "the end of its compilers")


def _members(group: int) -> list[str]:
    """List the processes of a group that live."""
    found = []
    for process in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, _, number = process.read_text().rpartition(")")[2].split()[:3]
            if int(number) == group and state != "Z":
                found.append(process.parent.name)
    return found


def test_nothing_under_way_is_nothing_to_end(workspace: Workspace) -> None:
    """Not even a folder is made."""
    subject.end(workspace)

    assert not workspace.cache.exists()


def test_the_background_has_our_checkout_and_our_cache(workspace: Workspace) -> None:
    """It runs without the launcher, from any folder, and says what it does in its log."""
    subject._spawn(workspace, ["none-of-ours"])

    eventually(lambda: not subject.is_building(workspace) and subject._pid(workspace).exists(), "the end of it")
    assert subject._log(workspace).read_text() == ""
