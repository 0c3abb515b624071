"""Apply, read and remove objects of any kind on a real API server, as kubectl does."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from kubernetes.config import new_client_from_config

Json = dict[str, Any]

MANAGER = "tests"
NAMESPACES = ("stampchat", "stampchat-gateway")
# Seconds that a cluster on two busy cores may take for what usually takes a few.
PATIENCE = 300.0
# Objects of the stacks that are in no namespace.
_EVERYWHERE = (
    "gateway.networking.k8s.io/v1/gatewayclasses/stampchat",
    "rbac.authorization.k8s.io/v1/clusterroles/stampchat-gateway",
    "rbac.authorization.k8s.io/v1/clusterrolebindings/stampchat-gateway",
)


class ApiError(Exception):
    """Say that a server refuses, with its status and its words."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"{status}: {said}")
        self.status = status


class Objects:
    """Speak with one API server.

    Args:
        kubeconfig: which, and who we are.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._api: Any = new_client_from_config(str(kubeconfig))
        self._kinds: dict[str, dict[str, Json]] = {}

    def apply(self, manifest: Mapping[str, Any], *, dry_run: bool = False, force: bool = True) -> Json:
        """Apply by the server, every unknown field refused; return the object as the server has it.

        Raises:
            ApiError: the server refuses: 404 where the namespace or the kind is not there yet.
        """
        query = [("fieldManager", MANAGER), ("fieldValidation", "Strict"), ("force", str(force).lower())]
        if dry_run:
            query.append(("dryRun", "All"))
        return self._call("PATCH", self.path(manifest), query, json.dumps(manifest))

    def apply_status(self, manifest: Mapping[str, Any]) -> Json:
        """Say of an object what only who acts on it says: its status."""
        query = [("fieldManager", MANAGER), ("force", "true")]
        return self._call("PATCH", f"{self.path(manifest)}/status", query, json.dumps(manifest))

    def get(self, manifest: Mapping[str, Any]) -> Json | None:
        """Return an object, or None where there is none."""
        return self.read(self.path(manifest))

    def read(self, path: str) -> Json | None:
        """Return whatever is at a path, or None."""
        try:
            return self._call("GET", path)
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    def delete(self, manifest: Mapping[str, Any]) -> None:
        """Remove an object, if it is there, and wait for nothing."""
        self._remove(self.path(manifest))

    def remove_stack(self) -> None:
        """Remove all that a stack has in a cluster."""
        for path in _EVERYWHERE:
            self._remove(f"/apis/{path}")
        self.remove_namespaces()

    def remove_namespaces(self, names: Iterable[str] = NAMESPACES) -> None:
        """Remove namespaces with all that is in them, without their pods' goodbye, and see them gone."""
        paths = [f"/api/v1/namespaces/{name}" for name in names]
        for path in paths:
            self._remove(path)

        def gone() -> bool:
            left = [path for path in paths if self.read(path)]
            for path in left:
                for pod in (self.read(f"{path}/pods") or {"items": []})["items"]:
                    self._remove(f"{path}/pods/{pod['metadata']['name']}", ("gracePeriodSeconds", "0"))
            return not left

        eventually(gone, f"the end of {', '.join(names)}")

    def path(self, manifest: Mapping[str, Any]) -> str:
        """Return an object's own path.

        Raises:
            ApiError: the server does not know its kind (yet).
        """
        version, metadata = manifest["apiVersion"], manifest["metadata"]
        kind = self._kind(version, manifest["kind"])
        root = f"/apis/{version}" if "/" in version else f"/api/{version}"
        within = f"/namespaces/{metadata['namespace']}" if kind["namespaced"] else ""
        return f"{root}{within}/{kind['name']}/{metadata['name']}"

    def close(self) -> None:
        """Let go of the connections."""
        self._api.close()

    def _kind(self, version: str, kind: str) -> Json:
        if kind not in self._kinds.get(version, {}):
            listed = self._call("GET", f"/apis/{version}" if "/" in version else f"/api/{version}")["resources"]
            self._kinds[version] = {item["kind"]: item for item in listed if "/" not in item["name"]}
        if kind not in self._kinds[version]:
            raise ApiError(404, f"no kind {kind} in {version}")
        return self._kinds[version][kind]

    def _remove(self, path: str, *query: tuple[str, str]) -> None:
        try:
            self._call("DELETE", path, list(query))
        except ApiError as error:
            if error.status not in {404, 409}:
                raise

    def _call(self, method: str, path: str, query: Sequence[tuple[str, str]] = (), body: str | None = None) -> Json:
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/apply-patch+yaml"
        url = f"{self._api.configuration.host}{path}?{urlencode(query)}"
        # The client's own call warns of what it itself does; its connections are as good.
        answer = self._api.rest_client.pool_manager.request(method, url, body=body, headers=headers, timeout=60)
        text = answer.data.decode()
        if answer.status >= 400:
            raise ApiError(answer.status, f"{method} {path}: {text}")
        found: Json = json.loads(text)
        return found


@contextmanager
def emptied(kubeconfig: Path) -> Iterator[Objects]:
    """Speak with a cluster in which nothing of the stacks is, and leave it so."""
    found = Objects(kubeconfig)
    found.remove_stack()
    yield found
    found.remove_stack()
    found.close()


def eventually(true: Callable[[], object], what: str, *, patience: float = PATIENCE) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + patience
    while not true():
        assert time.monotonic() < deadline, f"not in {patience:.0f} seconds: {what}"
        time.sleep(0.25)


def await_ready(objects: Objects, manifests: Sequence[Mapping[str, Any]]) -> None:
    """Wait until every workload and every gateway among some objects is ready, and say which is not."""
    deadline = time.monotonic() + PATIENCE
    while left := unready(objects, manifests):
        assert time.monotonic() < deadline, f"not in {PATIENCE:.0f} seconds: {left}"
        time.sleep(0.5)


def apply_all(objects: Objects, manifests: Sequence[Mapping[str, Any]]) -> int:
    """Apply in the given order, over and over what the server refuses for want of something else; return the rounds.

    A namespace or a kind that is not there yet is a 404; anything else is a mistake that no patience mends.
    """
    waiting, rounds = list(manifests), 0
    deadline = time.monotonic() + PATIENCE
    while waiting:
        rounds += 1
        left = []
        for manifest in waiting:
            try:
                objects.apply(manifest)
            except ApiError as error:
                if error.status != 404:
                    raise
                left.append(manifest)
        if len(left) == len(waiting):
            names = sorted({f"{item['kind']} {item['metadata']['name']}" for item in left})
            assert time.monotonic() < deadline, f"never applied: {names}"
            time.sleep(1)
        waiting = left
    return rounds


def unready(objects: Objects, manifests: Iterable[Mapping[str, Any]]) -> list[str]:
    """List what of some objects is not as it should be yet."""
    found = []
    for manifest in manifests:
        there = objects.get(manifest)
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        if there is None:
            found.append(f"{name} is not there")
        elif problem := _problem(there):
            found.append(f"{name}: {problem}")
    return found


def _problem(there: Json) -> str:
    status, spec = there.get("status") or {}, there.get("spec") or {}
    if there["kind"] in {"Deployment", "StatefulSet"}:
        wanted, key = spec.get("replicas", 1), "readyReplicas"
        current = status.get("observedGeneration") == there["metadata"]["generation"]
        updated = status.get("updatedReplicas", 0) == wanted == status.get("replicas")
        return "" if current and updated and status.get(key, 0) == wanted else f"{status.get(key, 0)} of {wanted} ready"
    if there["kind"] == "Gateway":
        conditions = {item["type"]: item["status"] for item in status.get("conditions", [])}
        return "" if conditions.get("Programmed") == "True" else f"not programmed: {conditions}"
    return ""
