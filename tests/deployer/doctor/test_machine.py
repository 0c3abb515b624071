"""What the machine lacks is told with the command that brings it."""

from __future__ import annotations

import os
import platform
import socket
from pathlib import Path

import pytest

from deployer.cluster.model import Instance
from deployer.disk import GIB
from deployer.doctor import machine
from deployer.doctor.machine import available_memory, examine_machine
from deployer.doctor.model import Finding
from deployer.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")


def examined(workspace: Workspace, *, cold: bool = False) -> dict[str, Finding]:
    return {finding.name: finding for finding in examine_machine(workspace, cold=cold)}


def test_another_system_and_another_user_are_told_what_to_use(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert examined(workspace)["rights"].remedy.startswith("`sudo ./stampchat up`")
    monkeypatch.setattr(platform, "system", lambda: "Darwin")

    found = examined(workspace)

    assert found["system"].state == "missing"
    for way in ("kind", "k3d", "--cluster CONTEXT", "./stampchat local"):
        assert way in found["system"].remedy
    assert "rights" not in found


def test_both_processors_are_taken_and_no_other(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, state in (("x86_64", "ok"), ("aarch64", "ok"), ("riscv64", "missing")):
        monkeypatch.setattr(platform, "machine", lambda name=name: name)
        assert examined(workspace)["processor"].state == state


def test_a_cold_cache_wants_more_disk_and_a_full_one_names_how_to_move_it(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(machine, "free_disk", lambda _: 5 * GIB)

    cold, warm = examined(workspace, cold=True), examined(workspace)

    assert cold["disk of the cache"].state == "missing"
    assert "STAMPCHAT_CACHE=" in cold["disk of the cache"].remedy
    assert cold["disk of the state"].state == warm["disk of the cache"].state == "ok"


def test_little_memory_is_a_note(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    account = tmp_path / "meminfo"
    account.write_text("MemTotal:       16 kB\nMemAvailable:   1024 kB\n")
    assert available_memory(account) == 1 << 20
    monkeypatch.setattr(machine, "available_memory", lambda: 1 << 20)

    assert examined(workspace)["memory"].state == "note"


def test_a_port_that_somebody_holds_is_missing_and_a_free_one_is_not(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        monkeypatch.setattr(machine, "stored_instance", lambda _: Instance("stampchat-abc", 1, port))

        taken = examined(workspace)["port"]

        assert taken.state == "missing"
        assert f"process {os.getpid()}" in taken.said
    assert examined(workspace)["port"].state == "ok"
