from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from deployer.plugins.kubernetes.api import PODS, Api, Resource
from deployer.plugins.kubernetes.cluster import Cluster, connect
from deployer.plugins.kubernetes.errors import ApiError
from deployer.plugins.kubernetes.settings import Settings
from tests.deployer.plugins.engine_project import EngineProject, make_project
from tests.deployer.plugins.kubernetes.programs import Trial

NAMESPACES = Resource("v1", "namespaces", namespaced=False)


@pytest.fixture(scope="session")
def kubeconfig(embedded_cluster: Any) -> Path:
    """The way to a real cluster with a node."""
    return Path(embedded_cluster.info.kubeconfig)


@pytest.fixture(scope="session")
def cluster(kubeconfig: Path) -> Iterator[Cluster]:
    """Ask the cluster past the plugin's process: to make things drift and to see what is there."""
    connected = connect(Settings(kubeconfig=str(kubeconfig)), threading.Event())
    yield connected
    connected.api.close()


@pytest.fixture(scope="session")
def api(cluster: Cluster) -> Api:
    """The cluster's API."""
    return cluster.api


@pytest.fixture(scope="module")
def namespace(api: Api) -> Iterator[str]:
    """A namespace for the tests of one file."""
    name = f"k-{uuid4().hex[:8]}"
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}}
    api.create(NAMESPACES, "", body, manager="test", dry_run=False)
    yield name
    with contextlib.suppress(ApiError):
        api.delete(NAMESPACES, "", name, propagation="Background")


@pytest.fixture
def trial(project: EngineProject, kubeconfig: Path, namespace: str) -> Trial:
    """An empty program whose provider's default namespace is the file's own."""
    return Trial(project, {"kubeconfig": str(kubeconfig), "namespace": namespace})


@pytest.fixture(scope="session")
def image(api: Api) -> str:
    """An image that the node has: the cluster's own, with a shell in it."""
    pods = api.items(PODS, "kube-system")
    return str(pods[0]["spec"]["containers"][0]["image"])


@pytest.fixture(scope="module")
def module_trial(tmp_path_factory: pytest.TempPathFactory, kubeconfig: Path, namespace: str) -> Iterator[Trial]:
    """One program for all tests of a file."""
    with pytest.MonkeyPatch.context() as patch:
        project = make_project(tmp_path_factory.mktemp("shared"), patch)
        yield Trial(project, {"kubeconfig": str(kubeconfig), "namespace": namespace})
