"""What Pods use is known in the embedded cluster, and autoscalers act on it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from deployer import cluster, kube
from deployer.cluster.embedded.programs import ensure_programs
from deployer.kube import Kube
from deployer.report import Silent
from deployer.stack import PLACE
from tests.conftest import EmbeddedCluster
from tests.order.objects import Objects, eventually

pytestmark = pytest.mark.cluster

NAME, SPACE = "busy", "test-metrics"
EMBEDDED = {"config": {PLACE: "dev"}}


@pytest.fixture
def objects(embedded_cluster: EmbeddedCluster) -> Iterator[Objects]:
    """Have metrics-server in use, and a namespace that is gone afterwards."""
    cluster.build_extras(embedded_cluster.workspace, Silent())
    with closing(Objects(embedded_cluster.info.kubeconfig)) as found:
        found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": SPACE}})
        yield found
        found.remove_namespaces([SPACE])


def test_an_autoscaler_grows_what_is_busy_and_status_has_the_figures(
    embedded_cluster: EmbeddedCluster, objects: Objects, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Pod that asks for little and uses twice that gets a second beside it."""
    image = ensure_programs(embedded_cluster.workspace, Silent()).image.reference
    objects.apply(_busy(image))
    objects.apply(_autoscaler())

    eventually(lambda: _ready(objects) == 2, "a second Pod")

    monkeypatch.setattr(kube, "NAMESPACES", (SPACE,))
    reader = Kube(embedded_cluster.workspace, EMBEDDED)
    eventually(lambda: all(pod.cores and pod.memory_bytes for pod in reader.pods()), "figures of each Pod")


def _ready(objects: Objects) -> int:
    found = objects.get(_meta("apps/v1", "Deployment")) or {}
    return int((found.get("status") or {}).get("readyReplicas", 0))


def _meta(version: str, kind: str) -> dict[str, Any]:
    return {"apiVersion": version, "kind": kind, "metadata": {"name": NAME, "namespace": SPACE}}


def _busy(image: str) -> dict[str, Any]:
    """Build a Deployment that uses all that its limit lets it."""
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/sh", "-c", "while :; do :; done"],
        "resources": {"requests": {"cpu": "20m", "memory": "8Mi"}, "limits": {"cpu": "40m", "memory": "32Mi"}},
    }
    template = {
        "metadata": {"labels": {"app": NAME}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 0},
    }
    return _meta("apps/v1", "Deployment") | {
        # The autoscaler is the one who says how many.
        "spec": {"selector": {"matchLabels": {"app": NAME}}, "template": template}
    }


def _autoscaler() -> dict[str, Any]:
    target = {"type": "Utilization", "averageUtilization": 50}
    return _meta("autoscaling/v2", "HorizontalPodAutoscaler") | {
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": 1,
            "maxReplicas": 2,
            "metrics": [{"type": "Resource", "resource": {"name": "cpu", "target": target}}],
        }
    }
