"""Taking a cluster down."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deployer.cluster.embedded import down as subject
from deployer.cluster.embedded.layout import Layout
from deployer.cluster.model import Instance
from deployer.errors import DeployError
from deployer.report import Silent


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(home=tmp_path / "cluster", instance=Instance(name="stampchat-000000", number=7, port=8080))


def test_a_user_without_root_is_told_so(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cluster that root started is root's to end."""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(subject, "find_init", lambda _: 4711)

    with pytest.raises(DeployError, match="is root's"):
        subject.down(layout, Silent(), purge=False)


def test_what_does_not_run_is_not_ready(layout: Layout) -> None:
    """Asking about a cluster that was never made changes nothing and fails at nothing."""
    found = subject.status(layout, {})

    assert not found.running
    assert not found.node_ready
    assert found.components == []
    assert found.memory_bytes == 0
    assert not layout.home.exists()
