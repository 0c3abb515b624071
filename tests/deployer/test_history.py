"""The updates of a stack, and where one can go back to."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import UsageError
from deployer.history import Update, find_earlier, read_history, update_message
from deployer.pulumi_process import Pulumi
from deployer.workspace import Workspace

OLD = {"services": "stampchat.local/services@sha256:" + "a" * 64, "gateway": "r.io:5000/gateway@sha256:" + "b" * 64}
NEW = {**OLD, "services": "stampchat.local/services@sha256:" + "c" * 64}


def entry(images: dict[str, str] | None, **more: Any) -> dict[str, Any]:
    """Make an entry as the engine prints it."""
    return {
        "kind": "update",
        "result": "succeeded",
        "startTime": "2026-11-24T11:52:30.000Z",
        "message": "a commit's subject" if images is None else update_message(images),
        "environment": {"git.head": "521b6e0aab24f6c5", "git.dirty": "true"},
        "resourceChanges": {"create": 2, "same": 1},
        **more,
    }


def history(tmp_path: Path, entries: list[dict[str, Any]]) -> list[Update]:
    """Read a history from a script in the engine's place."""
    workspace = Workspace(root=tmp_path, home=tmp_path, cache=tmp_path)
    (workspace.state / "project").mkdir(parents=True)
    script = tmp_path / "engine"
    script.write_text(f"#!/bin/sh\ncat <<'E'\n{json.dumps(entries)}\nE\n")
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    return read_history(Pulumi(script, workspace, "prod", {}))


def test_an_update_is_read_with_the_images_of_its_message(tmp_path: Path) -> None:
    """The newest first, counted from the oldest."""
    newest, oldest = history(tmp_path, [entry(NEW), entry(None, environment={})])

    assert (newest.number, newest.images, newest.commit) == (2, NEW, "521b6e0aab+")
    assert (newest.started, newest.changes) == ("2026-11-24T11:52:30Z", {"create": 2, "same": 1})
    assert (oldest.number, oldest.images, oldest.commit) == (1, {}, "")


def test_one_goes_back_to_the_last_good_update_with_other_images(tmp_path: Path) -> None:
    """Failed ones, refreshes and those of the present images are passed over."""
    updates = history(
        tmp_path,
        [entry(NEW), entry(NEW), entry(OLD, result="failed"), entry(None), entry(OLD), entry(OLD, kind="refresh")],
    )

    assert find_earlier(updates, None).number == 2
    assert find_earlier(updates, 5).images == NEW


def test_where_one_cannot_go_back_to_is_told(tmp_path: Path) -> None:
    """With the numbers that would do."""
    updates = history(tmp_path, [entry(NEW), entry(OLD, result="failed"), entry(NEW)])

    with pytest.raises(UsageError, match="no earlier update with other images"):
        find_earlier(updates, None)
    with pytest.raises(UsageError, match=r"Update 2 .*\n.*: 3, 1\."):
        find_earlier(updates, 2)
    with pytest.raises(UsageError, match="no earlier update"):
        find_earlier([], None)
