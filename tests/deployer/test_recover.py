"""States that cannot be read, and what is there in their place."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from deployer.errors import DeployError
from deployer.project import load_checkpoint, state_file
from deployer.recover import recover_state
from deployer.workspace import Workspace

DAMAGES = [b"", b'{"version": 3, "checkpoint": {"la', b"\xff\xfe\x00", b"[]", b'{"checkpoint": 7}']


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "Pulumi.yaml").write_text("name: stampchat\n")
    return Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")


def write(path: Path, resource: str, *, age: int) -> None:
    """Write a checkpoint that is some seconds old."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"version": 3, "checkpoint": {"latest": {"resources": [{"urn": resource}]}}}))
    moment = time.time() - age
    os.utime(path, (moment, moment))


def history(workspace: Workspace, name: str) -> Path:
    return workspace.state / "backend" / ".pulumi" / "history" / "stampchat" / "dev" / f"dev-{name}.checkpoint.json"


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize(("backup", "expected"), [(10, "backup"), (50, "newest")])
def test_the_newest_copy_that_can_be_read_takes_a_damaged_states_place(
    workspace: Workspace, damage: bytes, backup: int, expected: str
) -> None:
    """Whichever of the engine's two ways it was written in; the damaged one is kept for who wants to look."""
    path = state_file(workspace, "dev")
    write(history(workspace, "1"), "older", age=90)
    write(history(workspace, "2"), "newest", age=30)
    write(path.with_name("dev.json.bak"), "backup", age=backup)
    history(workspace, "3").write_bytes(damage)
    path.write_bytes(damage)

    said = recover_state(workspace, "dev")

    assert load_checkpoint(workspace, "dev") == {"resources": [{"urn": expected}]}
    assert [file.read_bytes() for file in (workspace.state / "lost").iterdir()] == [damage]
    assert "damaged" in said
    assert recover_state(workspace, "dev") == ""


def test_a_state_that_can_be_read_and_one_that_never_was_are_left_alone(workspace: Workspace) -> None:
    assert recover_state(workspace, "dev") == ""
    write(state_file(workspace, "dev"), "present", age=60)
    write(state_file(workspace, "dev").with_name("dev.json.bak"), "backup", age=0)

    assert recover_state(workspace, "dev") == ""
    assert load_checkpoint(workspace, "dev") == {"resources": [{"urn": "present"}]}


@pytest.mark.parametrize("damage", DAMAGES)
def test_without_a_copy_nothing_is_changed_and_the_ways_on_are_said(workspace: Workspace, damage: bytes) -> None:
    """A verb that only reads says the same, and which one mends it."""
    path = state_file(workspace, "dev")
    path.parent.mkdir(parents=True)
    path.write_bytes(damage)

    with pytest.raises(DeployError, match="stampchat restore dev FILE"):
        recover_state(workspace, "dev")
    with pytest.raises(DeployError, match="stampchat up dev"):
        load_checkpoint(workspace, "dev")

    assert path.read_bytes() == damage
