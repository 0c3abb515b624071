"""Locks that an update left behind."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from deployer.locks import find_locks
from deployer.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Make a checkout with an empty backend."""
    (tmp_path / "Pulumi.yaml").write_text("name: stampchat\n")
    return Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")


def lock(workspace: Workspace, content: str) -> None:
    """Leave a lock behind."""
    folder = workspace.state / "backend" / ".pulumi" / "locks" / "organization" / "stampchat" / "prod"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "one.json").write_text(content)


@pytest.mark.parametrize(
    ("owner", "said"),
    [
        ({"hostname": "elsewhere"}, "ada@elsewhere, process 7, since noon: of another machine, which cannot be asked"),
        ({"hostname": os.uname().nodename}, "no longer running"),
    ],
)
def test_a_lock_says_whose_it_is(workspace: Workspace, owner: dict[str, str], said: str) -> None:
    """And whether that process lives: number 7 is no engine."""
    lock(workspace, json.dumps({"pid": 7, "username": "ada", "timestamp": "noon", **owner}))

    (found,) = find_locks(workspace, "prod")

    assert said in str(found)


def test_a_damaged_lock_is_one_of_nobody(workspace: Workspace) -> None:
    """It can be taken away all the same."""
    assert find_locks(workspace, "prod") == []
    lock(workspace, "{half")

    (found,) = find_locks(workspace, "prod")

    assert found.alive is False
    assert "somebody@" in str(found)
