"""The one file of versions and the modules that are built agree."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from deployer.versions import load_versions

_SOURCES = Path("deployer/cluster/embedded/go")


@pytest.mark.parametrize(
    ("name", "folder", "module"),
    [
        ("kubernetes", ".", "k8s.io/kubernetes"),
        ("etcd", ".", "go.etcd.io/etcd/server/v3"),
        ("coredns", ".", "github.com/coredns/coredns"),
        ("local_path_provisioner", "local-path", "github.com/rancher/local-path-provisioner"),
        ("metrics_server", "metrics-server", "sigs.k8s.io/metrics-server"),
        ("kube_router", "kube-router", "github.com/cloudnativelabs/kube-router/v2"),
        ("gateway_api", "gateway-api", "sigs.k8s.io/gateway-api"),
    ],
)
def test_a_pinned_module_has_the_version_of_the_file(
    name: str, folder: str, module: str, pytestconfig: pytest.Config
) -> None:
    """Whoever changes one is told of the other."""
    pins = (pytestconfig.rootpath / _SOURCES / folder / "go.mod").read_text()

    found = re.search(rf"^(?:require|\t)\s*{re.escape(module)} v(\S+)", pins, re.MULTILINE)

    assert found is not None
    assert found[1] == load_versions()["cluster"][name]
