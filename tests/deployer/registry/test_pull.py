"""A cluster pulls what was pushed, by digest, with the credentials of its pull secret and with none not at all."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException

from deployer.cluster.embedded.layout import layout_of
from deployer.images.base import USER as USER_ID
from deployer.registry import Registry, parse_registry
from deployer.registry.push import Pusher
from deployer.report import Silent
from infra.builders.objects import registry_secret
from infra.catalogue import PULL_SECRET
from tests.conftest import EmbeddedCluster
from tests.deployer.registry.registry import USER, Running, busybox_image, serve

pytestmark = pytest.mark.cluster

NAMESPACE = "pulls"
_DEADLINE = 240.0


@pytest.fixture
def core(embedded_cluster: EmbeddedCluster) -> Iterator[client.CoreV1Api]:
    """Reach the cluster, in a namespace of the test's own."""
    found = client.CoreV1Api(config.new_client_from_config(str(embedded_cluster.info.kubeconfig)))
    found.create_namespace({"metadata": {"name": NAMESPACE}})
    yield found
    found.delete_namespace(NAMESPACE)


@pytest.fixture
def registry(embedded_cluster: EmbeddedCluster, tmp_path: Path) -> Iterator[Running]:
    """Run a registry at the machine's end of the cluster's link, and tell the cluster that it speaks http."""
    layout = layout_of(embedded_cluster.workspace, embedded_cluster.instance)
    with serve(tmp_path / "registry", address=layout.gateway, password=True) as running:
        described = layout.config / "certs.d" / running.host / "hosts.toml"
        described.parent.mkdir(parents=True)
        described.write_text(f'[host."http://{running.host}"]\ncapabilities = ["pull", "resolve"]\n')
        yield running
        described.unlink()
        described.parent.rmdir()


def test_a_cluster_pulls_by_digest_with_its_secret(core: client.CoreV1Api, registry: Running, tmp_path: Path) -> None:
    """Always, from the registry, whatever the node has."""
    reference = push_busybox(registry, tmp_path)
    shown = {"auths": {registry.host: {"auth": base64.b64encode(f"{USER.username}:{USER.password}".encode()).decode()}}}
    await_(lambda: core.read_namespaced_service_account("default", NAMESPACE) or True)
    core.create_namespaced_secret(NAMESPACE, registry_secret(PULL_SECRET, NAMESPACE, json.dumps(shown)))

    core.create_namespaced_pod(NAMESPACE, pod("refused", reference))
    core.create_namespaced_pod(NAMESPACE, {**pod("admitted", reference, imagePullSecrets=[{"name": PULL_SECRET}])})

    admitted = await_(lambda: status(core, "admitted", lambda found: found.phase in ("Succeeded", "Failed")))
    assert admitted.phase == "Succeeded"
    assert admitted.container_statuses[0].image_id.endswith(reference.rpartition("@")[2])
    refused = await_(lambda: status(core, "refused", lambda found: waiting(found) in _UNPULLED))
    assert refused.phase == "Pending"


_UNPULLED = ("ErrImagePull", "ImagePullBackOff")


def push_busybox(registry: Running, folder: Path) -> str:
    """Push an image that ends well at once, and return its reference."""
    image = busybox_image(folder)
    name = parse_registry(f"{registry.host}/team", insecure=True)
    Pusher(Registry(name, USER), Silent()).push("busybox", [image], {}, [])
    return f"{name.prefix}/busybox@{image.digest}"


def pod(name: str, image: str, **spec: Any) -> dict[str, Any]:
    """Describe a pod that always pulls."""
    container = {"name": "only", "image": image, "imagePullPolicy": "Always", "securityContext": {"runAsUser": USER_ID}}
    return {"metadata": {"name": name}, "spec": {"containers": [container], "restartPolicy": "Never", **spec}}


def status(core: client.CoreV1Api, name: str, enough: Callable[[Any], bool]) -> Any:
    """Return a pod's status once it says enough."""
    found = core.read_namespaced_pod_status(name, NAMESPACE).status
    return found if enough(found) else None


def waiting(found: Any) -> str:
    """Return why a pod's container waits."""
    statuses = found.container_statuses or []
    state = statuses[0].state.waiting if statuses else None
    return str(state.reason) if state else ""


def await_(ask: Callable[[], Any]) -> Any:
    """Ask until there is an answer."""
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        try:
            if found := ask():
                return found
        except ApiException as error:
            if error.status != 404:
                raise
        time.sleep(0.2)
    pytest.fail("the cluster did not come to it in time")
