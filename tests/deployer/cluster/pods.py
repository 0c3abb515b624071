"""Run things in a cluster under test, with nothing but the image that every cluster has."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPSConnection
from typing import Any

from deployer import cluster
from deployer.cluster.embedded.api import Api
from deployer.cluster.embedded.layout import Layout, layout_of
from deployer.cluster.embedded.programs import ensure_programs
from deployer.report import Silent
from tests.conftest import EmbeddedCluster

_PATIENCE = 60.0

_RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def layout(running: EmbeddedCluster) -> Layout:
    """Return where everything of a cluster is."""
    return layout_of(running.workspace, running.instance)


def eventually(true: Callable[[], object], what: str) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + _PATIENCE
    while not true():
        assert time.monotonic() < deadline, f"not in {_PATIENCE:.0f} seconds: {what}"
        time.sleep(0.1)


def busybox(*arguments: str) -> list[str]:
    """Return the command that runs one of busybox's programs."""
    return ["/bin/busybox", *arguments]


@dataclass(frozen=True)
class Namespace:
    """Hold what a test puts into one namespace, under the strictest Pod Security level.

    Attributes:
        running: the cluster.
        name: the namespace.
        api: the cluster's API server.
    """

    running: EmbeddedCluster
    name: str
    api: Api

    def create(self) -> None:
        """Make the namespace, if it is not there."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        self._apply(f"/api/v1/namespaces/{self.name}", "v1", "Namespace", self.name, {}, labels=labels)
        account = f"{self._core}/serviceaccounts/default"
        eventually(lambda: self.api.get(account), "the namespace's service account")

    def claim(self, name: str) -> None:
        """Ask for a volume of the default class."""
        spec = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}}
        self._apply(f"{self._core}/persistentvolumeclaims/{name}", "v1", "PersistentVolumeClaim", name, {"spec": spec})

    def pod(self, name: str, command: list[str], *, claim: str = "", once: bool = False) -> None:
        """Run a command; with a claim, its volume is at /data."""
        container: dict[str, Any] = {
            "name": "main",
            "image": ensure_programs(self.running.workspace, Silent()).image.reference,
            "imagePullPolicy": "IfNotPresent",
            "command": command,
            "securityContext": _RESTRICTED,
        }
        spec: dict[str, Any] = {
            "containers": [container],
            "restartPolicy": "Never" if once else "Always",
            "terminationGracePeriodSeconds": 0,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 10001,
                "fsGroup": 10001,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
        }
        if claim:
            container["volumeMounts"] = [{"name": "data", "mountPath": "/data"}]
            spec["volumes"] = [{"name": "data", "persistentVolumeClaim": {"claimName": claim}}]
        self._apply(f"{self._core}/pods/{name}", "v1", "Pod", name, {"spec": spec}, labels={"app": name})

    def service(self, name: str, port: int, *, node_port: int | None = None) -> None:
        """Put a Service before the Pod of the same name."""
        ports = [{"port": port, "targetPort": port} | ({"nodePort": node_port} if node_port else {})]
        spec = {"selector": {"app": name}, "ports": ports, "type": "NodePort" if node_port else "ClusterIP"}
        self._apply(f"{self._core}/services/{name}", "v1", "Service", name, {"spec": spec})

    def secret(self, name: str, value: str) -> None:
        """Store a Secret."""
        self._apply(f"{self._core}/secrets/{name}", "v1", "Secret", name, {"stringData": {"value": value}})

    def phase(self, pod: str) -> str:
        """Return how far a Pod is."""
        found = self.api.get(f"{self._core}/pods/{pod}") or {"status": {"phase": "Unknown"}}
        return str(found["status"]["phase"])

    def succeeds(self, name: str, command: list[str], *, claim: str = "") -> bool:
        """Run a command once and return whether it succeeded."""
        self.pod(name, command, claim=claim, once=True)
        eventually(lambda: self.phase(name) in {"Succeeded", "Failed"}, f"the end of {name}")
        return self.phase(name) == "Succeeded"

    @property
    def _core(self) -> str:
        return f"/api/v1/namespaces/{self.name}"

    def _apply(
        self,
        path: str,
        version: str,
        kind: str,
        name: str,
        rest: dict[str, Any],
        *,
        labels: dict[str, str] | None = None,
    ) -> None:
        manifest = {"apiVersion": version, "kind": kind, "metadata": {"name": name, "labels": labels or {}}} | rest
        self.api.apply(path, json.dumps(manifest).encode())


def status_without_a_certificate(running: EmbeddedCluster, port: int, path: str) -> int:
    """Return what a server in the cluster answers to whoever it does not know."""
    context = ssl.create_default_context(cafile=str(layout(running).pki / "ca.crt"))
    connection = HTTPSConnection(running.info.address, port, timeout=10, context=context)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    finally:
        connection.close()


@contextmanager
def namespace(running: EmbeddedCluster, name: str) -> Iterator[Namespace]:
    """Give a namespace for a test's own things."""
    with Api(layout(running)) as api:
        space = Namespace(running, name, api)
        space.create()
        yield space


def host_pid(running: EmbeddedCluster, component: str) -> int:
    """Return a component's process number on this machine; 0 while it does not run."""
    return next(found.pid or 0 for found in cluster.status(running.workspace).components if found.name == component)
