"""Give tests a Kubernetes cluster of their own, beside whatever runs on this machine."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer import cluster
from deployer.cluster import ClusterInfo, Instance
from deployer.report import Silent
from deployer.workspace import ROOT, Workspace, load_workspace
from tests import schedule
from tests.ports import free_port

# With an empty cache the first of these tests builds Kubernetes.
_CLUSTER_TIMEOUT = 1800


@dataclass(frozen=True)
class EmbeddedCluster:
    """Hold a running cluster.

    Attributes:
        workspace: its home is a temporary folder; its cache is the machine's own.
        instance: its name, number and port.
        info: how to reach it.
    """

    workspace: Workspace
    instance: Instance
    info: ClusterInfo


def pytest_configure(config: pytest.Config) -> None:
    """Let Ctrl-C through: a shell's background job ignores SIGINT, and so would every process that a test starts."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if config.pluginmanager.hasplugin("xdist"):
        schedule.let_tidy_up()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests that may have to wait for a build the time for it, and begin with what takes longest."""
    for item in items:
        if item.get_closest_marker("cluster") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(_CLUSTER_TIMEOUT))
    items[:] = schedule.in_order(items)


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """End a cluster once nobody needs it, behind the test's own fixtures."""
    schedule.end_shared(item, nextitem)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Hand out tests by what they share, where several processes run them (-n)."""
    return schedule.make_scheduler(config, log)


@pytest.fixture(scope="session")
def embedded_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    """Run one cluster for the whole session, and leave nothing of it behind."""
    skip_without_cluster()
    workspace = temporary_workspace(tmp_path_factory.mktemp("cluster"))
    try:
        yield start(workspace)
    finally:
        cluster.down(workspace, purge=True)


def skip_without_cluster() -> None:
    """Skip a test that cannot have a cluster here, and say why."""
    if platform.system() != "Linux":
        pytest.skip(f"NOT TESTED: an embedded cluster needs Linux, and this is {platform.system()}")
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: an embedded cluster needs root; run the tests as root to cover it")


def temporary_workspace(home: Path) -> Workspace:
    """Return a workspace that shares nothing with the checkout's own but the cache."""
    return Workspace(root=ROOT, home=home.resolve(), cache=load_workspace().cache)


def start(workspace: Workspace) -> EmbeddedCluster:
    """Bring a workspace's cluster up on a port that leaves 8080 to the developer's own."""
    instance = cluster.load_instance(workspace, port=None if workspace.instance.exists() else free_port())
    return EmbeddedCluster(workspace, instance, cluster.up(workspace, instance, Silent()))
