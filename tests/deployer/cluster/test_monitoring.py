"""By its own policies a stack lets metrics be read from the namespace that it names, and from nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from deployer import cluster
from deployer.cluster.embedded.programs import ensure_programs
from deployer.report import Silent
from infra.catalogue import CHAT
from infra.config import validate_stack
from infra.network_policy import application_policies
from tests.conftest import EmbeddedCluster
from tests.infra.configs import PROD
from tests.order.objects import Objects, eventually

pytestmark = pytest.mark.cluster

SPACE, WATCHERS, STRANGERS = "test-watched", "test-watchers", "test-strangers"
SPACES = (SPACE, WATCHERS, STRANGERS)
CONFIG = {
    **PROD,
    "stampchat:observability": f'{{"kind": "prometheus-operator", "namespace": "{WATCHERS}"}}',
}
# It answers on both of a service's ports.
SERVE = (
    f"echo here > /www/index.html; httpd -p {CHAT.public_port} -h /www; exec httpd -f -p {CHAT.internal_port} -h /www"
)
# Whoever is let in may have to wait for the enforcer to know it; whoever is not is told at once.
ASK = "for n in $(/bin/busybox seq 60); do /bin/busybox wget -qO- {url} && exit 0; /bin/busybox sleep 1; done; exit 1"
ONCE = "exec /bin/busybox wget -qO- {url}"


@pytest.fixture
def objects(embedded_cluster: EmbeddedCluster) -> Iterator[Objects]:
    """Have policies enforced, and chat's own policies over a server that stands in for it."""
    cluster.build_extras(embedded_cluster.workspace, Silent())
    eventually(lambda: cluster.status(embedded_cluster.workspace).policies_hold, "an enforcer of policies")
    image = ensure_programs(embedded_cluster.workspace, Silent()).image.reference
    with closing(Objects(embedded_cluster.info.kubeconfig)) as found:
        for name in SPACES:
            found.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
        for name in SPACES:
            account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}}
            eventually(lambda account=account: found.get(account), "the namespace's service account")  # type: ignore[misc]
        for policy in application_policies(validate_stack(CONFIG)):
            if policy["metadata"]["name"] in {"default-deny", CHAT.name}:
                found.apply({**policy, "metadata": {**policy["metadata"], "namespace": SPACE}})
        found.apply(_pod(image, SPACE, "chat", SERVE))
        eventually(lambda: _status(found, SPACE, "chat").get("phase") == "Running", "a server")
        yield found
        found.remove_namespaces(SPACES)


def test_prometheus_alone_may_read_metrics(embedded_cluster: EmbeddedCluster, objects: Objects) -> None:
    """And it may ask for nothing else."""
    image = ensure_programs(embedded_cluster.workspace, Silent()).image.reference
    address = _status(objects, SPACE, "chat")["podIP"]
    metrics, public = (f"http://{address}:{port}/" for port in (CHAT.internal_port, CHAT.public_port))

    def answered(space: str, name: str, script: str) -> bool:
        objects.apply(_pod(image, space, name, script))
        ended = {"Succeeded", "Failed"}
        eventually(lambda: _status(objects, space, name).get("phase") in ended, f"the end of {name}")
        return bool(_status(objects, space, name)["phase"] == "Succeeded")

    assert answered(WATCHERS, "metrics", ASK.format(url=metrics))
    assert not answered(WATCHERS, "public", ONCE.format(url=public))
    assert not answered(STRANGERS, "metrics", ONCE.format(url=metrics))
    assert not answered(SPACE, "metrics", ONCE.format(url=metrics))


def _pod(image: str, namespace: str, name: str, script: str) -> dict[str, Any]:
    labels = {"app.kubernetes.io/name": CHAT.name} if name == "chat" else {}
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "command": ["/bin/busybox", "sh", "-c", script],
        "volumeMounts": [{"name": "www", "mountPath": "/www"}],
    }
    spec: dict[str, Any] = {"containers": [container], "volumes": [{"name": "www", "emptyDir": {}}]}
    spec |= {"restartPolicy": "Never", "terminationGracePeriodSeconds": 0}
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _status(objects: Objects, namespace: str, name: str) -> dict[str, Any]:
    found = objects.read(f"/api/v1/namespaces/{namespace}/pods/{name}") or {}
    return dict(found.get("status") or {})
