"""What this machine cannot do is said before anything changes."""

from __future__ import annotations

import os
import platform
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from deployer.cluster.embedded.checks import check_machine, check_space
from deployer.errors import DeployError


@pytest.fixture(autouse=True)
def _able(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start from a machine that can."""
    monkeypatch.setattr(platform, "system", lambda: "Linux")
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/sbin/{name}")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=100 << 30))


def test_a_machine_that_can_passes(tmp_path: Path) -> None:
    """Nothing is said."""
    check_machine(tmp_path)


def test_another_system_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The box is made of Linux's namespaces."""
    monkeypatch.setattr(platform, "system", lambda: "Darwin")

    with pytest.raises(DeployError, match="needs Linux, and this is Darwin"):
        check_machine(tmp_path)


def test_a_user_without_root_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The advice says how to get it."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)

    with pytest.raises(DeployError, match="needs root") as caught:
        check_machine(tmp_path)
    assert "sudo" in caught.value.advice


def test_a_missing_program_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So that one command mends it."""
    monkeypatch.setattr(shutil, "which", lambda _: None)

    with pytest.raises(DeployError, match="`ip`") as caught:
        check_machine(tmp_path)
    assert "iproute2" in caught.value.advice


def test_a_full_disk_is_said_with_how_much_is_needed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before a build of minutes, not after; of a folder that is not there yet, its disk counts."""
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1 << 29))

    with pytest.raises(DeployError, match=r"5 GiB of free disk are needed to build Kubernetes .* there are 0\.5 GiB"):
        check_space(tmp_path / "not" / "yet", 5 << 30, "to build Kubernetes")
