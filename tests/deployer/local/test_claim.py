from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployer.errors import DeployError, UsageError
from deployer.local.claim import claim, find_running, local_url, note_running
from deployer.local.layout import Layout
from deployer.workspace import Workspace


def test_one_runs_at_a_time_and_the_other_is_told_who(workspace: Workspace, layout: Layout) -> None:
    with claim(layout):
        note_running(layout, "http://127.0.0.1:8080")

        with pytest.raises(UsageError, match=rf"process {os.getpid()}, at http://127.0.0.1:8080"), claim(layout):
            pass
        assert local_url(workspace) == "http://127.0.0.1:8080"

    assert find_running(workspace) is None
    assert not layout.running.exists()


def test_what_a_killed_one_left_is_no_running_one(workspace: Workspace, layout: Layout) -> None:
    layout.lock.touch()
    note_running(layout, "http://127.0.0.1:8080")

    assert find_running(workspace) is None
    with claim(layout):
        pass


def test_one_that_just_starts_has_no_address_yet(workspace: Workspace, layout: Layout) -> None:
    with claim(layout):
        with pytest.raises(UsageError, match="does not run"):
            local_url(workspace)
        with pytest.raises(UsageError, match="just starting"), claim(layout):
            pass


def test_without_any_it_says_how_to_start_one(workspace: Workspace) -> None:
    with pytest.raises(UsageError, match="does not run in this checkout"):
        local_url(workspace)


def test_a_folder_that_cannot_be_written_is_named(layout: Layout) -> None:
    layout.folder.rmdir()
    layout.folder.write_text("a file")

    with pytest.raises(DeployError, match="local cannot be written: ") as caught, claim(layout):
        pass

    assert "STAMPCHAT_HOME" in caught.value.advice


def test_another_users_folder_is_left_alone(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 54321)

    with pytest.raises(DeployError, match=r"belongs to \w+, and you are user 54321"), claim(layout):
        pass

    assert Path(layout.folder).is_dir()
