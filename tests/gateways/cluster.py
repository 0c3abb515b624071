"""Run the stacks' gateways in a cluster, with echoes in the services' pods and all else as the stacks have it."""

from __future__ import annotations

import base64
import contextlib
import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from infra.builders.security import container_security_context, pod_security_context
from infra.catalogue import (
    ACME_PATH,
    APPLICATIONS,
    GATEWAY_NAMESPACE,
    NAMESPACE,
    SOLVER_LABELS,
    SOLVER_PORT,
    TLS_SECRET,
)
from tests.conftest import EmbeddedCluster
from tests.gateways.client import Gateway
from tests.gateways.machine import ECHO, await_service, make_certificate, trusting
from tests.order.objects import Json, Objects, apply_all, await_ready, eventually

_PYTHON = "/usr/bin/python3.11"
# Of no use to an echo, or of kinds that only a managed cluster has.
_LEFT_OUT = {"StatefulSet", "PersistentVolumeClaim", "HorizontalPodAutoscaler", "ClusterIssuer", "Certificate"}


def dev(running: EmbeddedCluster, objects: Objects, manifests: list[Json]) -> Gateway:
    """Apply stack dev with echoes, and describe its gateway: through the forwarder, as a developer reaches it."""
    place(objects, [with_echoes(manifest) for manifest in manifests if manifest["kind"] not in _LEFT_OUT])
    parts = urlsplit(running.info.url)
    gateway = Gateway("dev's", str(parts.hostname), parts.port or 80)
    await_service(gateway)
    return gateway


def prod(running: EmbeddedCluster, objects: Objects, manifests: list[Json], folder: Path) -> Gateway:
    """Apply stack prod with echoes and a certificate of our own; no balancer stands in front, the node's ports do."""
    (route,) = [item for item in manifests if item["kind"] == "HTTPRoute" and item["metadata"]["name"] == NAMESPACE]
    (hostname,) = route["spec"]["hostnames"]
    certificate = make_certificate(hostname, folder)
    wanted = [with_echoes(manifest) for manifest in manifests if manifest["kind"] not in _LEFT_OUT]
    place(objects, [*wanted, _tls_secret(*certificate)])
    service = objects.read(f"/api/v1/namespaces/{GATEWAY_NAMESPACE}/services/gateway")
    assert service is not None
    ports = {port["name"]: port["nodePort"] for port in service["spec"]["ports"]}

    @contextlib.contextmanager
    def challenge(path: str) -> Iterator[None]:
        made = [_solver(wanted), _solver_service(), _solver_route(hostname, path)]
        place(objects, made)
        try:
            # The route is in force once the challenge is no longer sent to https.
            eventually(lambda: gateway.ask(path, clear=True).status == 200, "a challenge that is answered")
            yield
        finally:
            for item in made:
                objects.delete(item)

    gateway = Gateway(
        "prod's",
        running.info.address,
        ports["websecure"],
        hostname=hostname,
        secure=trusting(certificate[0]),
        clear_port=ports["web"],
        client=_own_address(running),
        has_page=False,
        challenge=challenge,
    )
    await_service(gateway)
    return gateway


def place(objects: Objects, manifests: list[Json]) -> None:
    """Apply, and wait until all of it serves."""
    apply_all(objects, manifests)
    await_ready(objects, manifests)


def with_echoes(manifest: Json) -> Json:
    """Put an echo where a service would run, on the same ports and behind the same policies; one pod of each."""
    if manifest["kind"] != "Deployment":
        return manifest
    changed = copy.deepcopy(manifest)
    changed["spec"]["replicas"] = 1
    for application in APPLICATIONS:
        if manifest["metadata"]["name"] == application.name:
            pod = changed["spec"]["template"]["spec"]
            places = [f"{application.key}:public={application.public_port}"]
            places.append(f"{application.key}:internal={application.internal_port}")
            (container,) = pod["containers"]
            container.update(_echo(places), volumeMounts=[])
            pod.pop("initContainers")
            pod["volumes"] = []
            pod["terminationGracePeriodSeconds"] = 1
            container.pop("lifecycle")
    return changed


def _echo(places: list[str]) -> Json:
    return {"command": [_PYTHON, "-c", ECHO.read_text(encoding="utf-8"), "0.0.0.0", *places], "args": [], "env": []}  # noqa: S104


def _tls_secret(chain: Path, key: Path) -> Json:
    data = {name: base64.b64encode(path.read_bytes()).decode() for name, path in (("tls.crt", chain), ("tls.key", key))}
    metadata = {"name": TLS_SECRET, "namespace": GATEWAY_NAMESPACE}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "kubernetes.io/tls", "data": data}


def _solver(manifests: list[Json]) -> Json:
    """Build a pod with the labels of cert-manager's solver."""
    (image,) = {
        container["image"]
        for manifest in manifests
        if manifest["kind"] == "Deployment" and manifest["metadata"]["namespace"] == NAMESPACE
        for container in manifest["spec"]["template"]["spec"]["containers"]
    }
    solver: Json = {
        "name": "solver",
        "image": image,
        **_echo([f"solver:public={SOLVER_PORT}"]),
        "securityContext": container_security_context(),
    }
    spec = {"securityContext": pod_security_context(), "terminationGracePeriodSeconds": 0, "containers": [solver]}
    return _solver_object("v1", "Pod", spec, labels=SOLVER_LABELS)


def _solver_service() -> Json:
    ports = [{"name": "http", "port": SOLVER_PORT, "targetPort": SOLVER_PORT, "protocol": "TCP"}]
    return _solver_object("v1", "Service", {"selector": SOLVER_LABELS, "ports": ports})


def _solver_route(hostname: str, path: str) -> Json:
    """Build the route that cert-manager makes for a challenge (its pkg/issuer/acme/http/httproute.go)."""
    assert path.startswith(ACME_PATH)
    parent = {"name": "gateway", "namespace": GATEWAY_NAMESPACE, "sectionName": "web"}
    rule = {
        "matches": [{"path": {"type": "Exact", "value": path}}],
        "backendRefs": [{"name": "cm-acme-http-solver", "port": SOLVER_PORT, "weight": 1}],
    }
    spec = {"parentRefs": [parent], "hostnames": [hostname], "rules": [rule]}
    return _solver_object("gateway.networking.k8s.io/v1beta1", "HTTPRoute", spec)


def _solver_object(version: str, kind: str, spec: Json, **metadata: Any) -> Json:
    named = {"name": "cm-acme-http-solver", "namespace": GATEWAY_NAMESPACE, **metadata}
    return {"apiVersion": version, "kind": kind, "metadata": named, "spec": spec}


def _own_address(running: EmbeddedCluster) -> str:
    """Return our address as the node sees it: the host's end of the line between the two."""
    head, _, last = running.info.address.rpartition(".")
    return f"{head}.{int(last) - 1}"
