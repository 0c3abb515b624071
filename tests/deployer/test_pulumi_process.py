from __future__ import annotations

import json
import os
import signal
import stat
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from deployer.errors import DeployError, ProcessError, StoppedError
from deployer.locks import remove_dead_locks
from deployer.pulumi_process import Pulumi, engine_environment, silence_log
from deployer.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    (tmp_path / "Pulumi.yaml").write_text("name: stampchat\n")
    found = Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")
    (found.state / "project").mkdir(parents=True)
    return found


def engine(workspace: Workspace, script: str) -> Pulumi:
    """Put a shell script in the engine's place: it speaks as the engine does."""
    path = workspace.root / "pulumi"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return Pulumi(path, workspace, "dev", {"GIVEN": "yes"})


def test_events_are_handed_on_and_other_lines_are_not(workspace: Workspace) -> None:
    pulumi = engine(
        workspace, """echo '{"sequence": 1}'; echo 'Updating (dev):'; echo '[]'; echo "{\\"args\\": \\"$*\\"}" """
    )
    events: list[Mapping[str, Any]] = []

    status, said = pulumi.stream("up", "--yes", on_event=events.append)

    assert (status, said) == (0, "")
    assert events == [{"sequence": 1}, {"args": "up --yes --json --color never --stack dev --non-interactive"}]


def test_a_failed_run_hands_back_its_status_and_last_words(workspace: Workspace) -> None:
    pulumi = engine(workspace, "echo 'error: no such thing' >&2; exit 3")

    assert pulumi.stream("preview", on_event=lambda _: None) == (3, "error: no such thing\n")


def test_ctrl_c_reaches_the_engine_once_and_its_last_events_are_read(workspace: Workspace) -> None:
    script = """trap 'echo "{\\"saved\\": true}"; exit 255' INT; echo '{"begun": true}'; while :; do sleep 0.05; done"""
    pulumi = engine(workspace, script)
    events: list[Mapping[str, Any]] = []
    told: list[str] = []

    def press(event: Mapping[str, Any]) -> None:
        events.append(event)
        if "begun" in event:
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGINT)).start()

    with pytest.raises(StoppedError):
        pulumi.stream("up", on_event=press, on_interrupt=lambda: told.append("stopping"))

    assert events == [{"begun": True}, {"saved": True}]
    assert told == ["stopping"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_engine_gets_our_variables(workspace: Workspace) -> None:
    assert engine(workspace, 'printf %s "$GIVEN"').read("about") == "yes"


def test_a_failed_command_is_told_as_a_line_to_paste(workspace: Workspace) -> None:
    pulumi = engine(workspace, "echo 'error: locked' >&2; exit 1")

    with pytest.raises(
        ProcessError, match="pulumi stack output --stack dev --non-interactive` failed with status 1"
    ) as caught:
        pulumi.read("stack", "output")

    assert caught.value.said == "error: locked"


def test_only_a_stand_in_forbids_looking_for_plugins(workspace: Workspace) -> None:
    key = "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"

    assert key in engine_environment(workspace, [], stand_in=True)
    assert key not in engine_environment(workspace, [], stand_in=False)


def test_what_the_engine_needs_comes_first_on_the_path(workspace: Workspace) -> None:
    environ = engine_environment(workspace, [Path("/a"), Path("/b")], stand_in=True)

    assert environ["PATH"].startswith("/a:/b:")
    assert environ["PULUMI_BACKEND_URL"] == f"file://{workspace.state}/backend"


def test_the_engine_finds_no_folder_to_log_into(workspace: Workspace) -> None:
    (workspace.pulumi_home / "logs").mkdir(parents=True)

    silence_log(workspace)
    silence_log(workspace)

    assert (workspace.pulumi_home / "logs").is_file()


def lock(workspace: Workspace, **content: object) -> Path:
    path = workspace.state / "backend/.pulumi/locks/organization/stampchat/dev/1.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"username": "root", "hostname": os.uname().nodename, **content}))
    return path


@pytest.mark.parametrize("pid", [0, 2**22 + 1, os.getpid()], ids=["none", "gone", "no engine"])
def test_a_lock_whose_engine_is_gone_is_removed(workspace: Workspace, pid: int) -> None:
    path = lock(workspace, pid=pid)

    assert remove_dead_locks(workspace, "dev") == 1
    assert not path.exists()


def test_a_lock_that_a_full_disk_cut_short_is_removed(workspace: Workspace) -> None:
    """The engine reads every file there, and fails by one that is no JSON."""
    path = lock(workspace, pid=0)
    part = path.rename(path.with_name("1.json.18eca401b0ee81fc.tmp"))
    part.write_bytes(b"")

    assert remove_dead_locks(workspace, "dev") == 1
    assert not part.exists()


def test_a_lock_of_another_machine_is_respected(workspace: Workspace) -> None:
    path = lock(workspace, pid=1, hostname="elsewhere")

    with pytest.raises(DeployError, match="pid 1 of root@elsewhere"):
        remove_dead_locks(workspace, "dev")

    assert path.exists()
