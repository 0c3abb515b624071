"""Speak to the Kubernetes API: read, create, apply, delete, watch, logs."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPException
from typing import Any
from urllib.parse import quote, urlencode

from deployer.plugins.kubernetes.connection import Connections, Response
from deployer.plugins.kubernetes.errors import ApiError, ClusterUnreachableError
from deployer.plugins.kubernetes.kubeconfig import Access

Manifest = dict[str, Any]

JSON_PATCH = "application/json-patch+json"
MERGE_PATCH = "application/merge-patch+json"
_APPLY_PATCH = "application/apply-patch+yaml"  # every JSON document is YAML
_BUSY = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})
_ATTEMPTS = 6
# Seconds for which a server may be away that has answered before, and between two tries.
_ABSENCE = 30.0
_PAUSE = 0.5


@dataclass(frozen=True)
class Resource:
    """Say where objects of a kind lie in the API.

    Attributes:
        api_version: such as apps/v1.
        plural: the name in paths, such as deployments.
        namespaced: whether the path has a namespace in it.
    """

    api_version: str
    plural: str
    namespaced: bool

    def path(self, namespace: str, name: str = "", *, part: str = "") -> str:
        """Return the path of a collection, of one object, or of a part of it such as `log`."""
        root = f"/apis/{self.api_version}" if "/" in self.api_version else f"/api/{self.api_version}"
        within = f"/namespaces/{quote(namespace)}" if self.namespaced and namespace else ""
        return "/".join([f"{root}{within}", self.plural, *(quote(item) for item in (name, part) if item)])


PODS = Resource("v1", "pods", namespaced=True)
EVENTS = Resource("v1", "events", namespaced=True)


class Api:
    """Ask one cluster; every call may come from any thread.

    Args:
        access: where to and as whom.
        stopping: set when waiting between two tries is to end.
    """

    def __init__(self, access: Access, stopping: threading.Event) -> None:
        self._connections = Connections(access)
        self._credentials = access.credentials
        self._stopping = stopping
        self._met = False  # whether the server has ever answered

    def close(self) -> None:
        """Close the connections that are kept for the next request."""
        self._connections.close()

    def read(self, path: str, **query: Any) -> Manifest:
        """Return the document at a path such as /version.

        Raises:
            ApiError: the server refused.
            ClusterUnreachableError: it does not answer.
        """
        return self._json("GET", path, query)

    def get(self, resource: Resource, namespace: str, name: str) -> Manifest:
        """Return one object, or raise ApiError (`not_found`)."""
        return self._json("GET", resource.path(namespace, name), {})

    def items(self, resource: Resource, namespace: str, **query: Any) -> list[Manifest]:
        """Return the objects of a namespace that the selectors in the query allow."""
        answer = self._json("GET", resource.path(namespace), query)
        return list(answer.get("items") or [])

    def create(
        self, resource: Resource, namespace: str, manifest: Manifest, *, manager: str, dry_run: bool
    ) -> Manifest:
        """Create an object; one of that name must not exist."""
        query = {"fieldManager": manager, "dryRun": _dry(dry_run)}
        return self._json("POST", resource.path(namespace), query, manifest)

    def apply(
        self, resource: Resource, namespace: str, manifest: Manifest, *, manager: str, force: bool, dry_run: bool
    ) -> Manifest:
        """Let the server merge the fields that we manage into the object."""
        query = {"fieldManager": manager, "force": str(force).lower(), "dryRun": _dry(dry_run)}
        path = resource.path(namespace, manifest["metadata"]["name"])
        return self._json("PATCH", path, query, manifest, content_type=_APPLY_PATCH)

    def patch(
        self,
        resource: Resource,
        namespace: str,
        name: str,
        patch: Any,
        *,
        content_type: str,
        manager: str,
        dry_run: bool,
    ) -> Manifest:
        """Change an object by a JSON patch or a merge patch."""
        query = {"fieldManager": manager, "dryRun": _dry(dry_run)}
        return self._json("PATCH", resource.path(namespace, name), query, patch, content_type=content_type)

    def replace(
        self, resource: Resource, namespace: str, manifest: Manifest, *, manager: str, dry_run: bool
    ) -> Manifest:
        """Put a whole object in the place of the one whose resourceVersion it carries."""
        query = {"fieldManager": manager, "dryRun": _dry(dry_run)}
        return self._json("PUT", resource.path(namespace, manifest["metadata"]["name"]), query, manifest)

    def delete(self, resource: Resource, namespace: str, name: str, *, propagation: str) -> Manifest:
        """Ask for an object's end; it may live on until its finalizers are done."""
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": propagation}
        return self._json("DELETE", resource.path(namespace, name), {}, options)

    def logs(self, namespace: str, pod: str, container: str, *, previous: bool, lines: int) -> str:
        """Return the last lines that a container wrote, of its previous run if asked."""
        query = {"container": container, "previous": str(previous).lower(), "tailLines": lines, "limitBytes": 16_000}
        return self._request("GET", PODS.path(namespace, pod, part="log"), query).decode(errors="replace")

    def watch(
        self, resource: Resource, namespace: str, name: str, *, since: str, seconds: int
    ) -> Iterator[tuple[str, Manifest]]:
        """Yield what happens to one object, as (ADDED | MODIFIED | DELETED, object), until the seconds are over.

        Raises:
            ApiError: the server refused, or it no longer knows the version `since`.
        """
        query = {
            "watch": "true",
            "fieldSelector": f"metadata.name={name}",
            "resourceVersion": since,
            "timeoutSeconds": seconds,
        }
        response, connection = self._send("GET", resource.path(namespace), query, None, "")
        ended = False
        try:
            if response.status != HTTPStatus.OK:
                raise ApiError(response.status, _status(response.read()))
            for line in _lines(response, self._connections):
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(int(event["object"].get("code") or 0), event["object"])
                yield event["type"], event["object"]
            ended = True
        finally:
            if ended:
                self._connections.release(connection)
            else:
                connection.close()

    def _json(
        self, method: str, path: str, query: Mapping[str, Any], body: Any = None, content_type: str = "application/json"
    ) -> Manifest:
        answer = json.loads(self._request(method, path, query, body, content_type) or b"{}")
        return answer if isinstance(answer, dict) else {}

    def _request(
        self, method: str, path: str, query: Mapping[str, Any], body: Any = None, content_type: str = "application/json"
    ) -> bytes:
        encoded = None if body is None else json.dumps(body).encode()
        attempt, patience = 1, time.monotonic() + _ABSENCE
        while True:
            try:
                response, content = self._exchange(method, path, query, encoded, content_type)
            except ClusterUnreachableError as error:
                if not self._comes_back(error, method, query, patience):
                    raise
                self._stopping.wait(_PAUSE)
                continue
            if response.status < HTTPStatus.BAD_REQUEST:
                return content
            if attempt >= _ATTEMPTS or not self._try_again(method, response):
                raise ApiError(response.status, _status(content))
            self._stopping.wait(_pause(response, attempt))
            attempt += 1

    def _exchange(
        self, method: str, path: str, query: Mapping[str, Any], encoded: bytes | None, content_type: str
    ) -> tuple[Response, bytes]:
        response, connection = self._send(method, path, query, encoded, content_type)
        try:
            content = response.read()
        except (OSError, HTTPException) as error:
            connection.close()
            raise self._connections.unreachable(error, asked=True) from error
        self._connections.release(connection)
        self._met = True
        return response, content

    def _comes_back(
        self, error: ClusterUnreachableError, method: str, query: Mapping[str, Any], patience: float
    ) -> bool:
        """Say whether to ask a server again that is away: one that has answered before restarts within seconds."""
        harmless = not error.asked or _is_repeatable(method, query)
        return self._met and harmless and time.monotonic() < patience and not self._stopping.is_set()

    def _send(
        self, method: str, path: str, query: Mapping[str, Any], body: bytes | None, content_type: str
    ) -> tuple[Response, Any]:
        given = {key: value for key, value in query.items() if value not in ("", None)}
        headers = {"Accept": "application/json", "User-Agent": "stampchat-pulumi-kubernetes"}
        if body is not None:
            headers["Content-Type"] = content_type
        return self._connections.send(
            method,
            f"{path}?{urlencode(given)}" if given else path,
            body=body,
            headers=headers,
            repeatable=_is_repeatable(method, query),
        )

    def _try_again(self, method: str, response: Response) -> bool:
        if self._stopping.is_set():
            return False
        if response.status == HTTPStatus.UNAUTHORIZED:
            return self._credentials.refused()
        # A failure inside the server may have come after the change: only what can be said twice is said again.
        inside = response.status == HTTPStatus.INTERNAL_SERVER_ERROR and method in ("GET", "PATCH")
        return response.status in _BUSY or inside


def _lines(response: Response, connections: Connections) -> Iterator[bytes]:
    """Yield a watch's lines; one that the server's end cut short is no event."""
    while True:
        try:
            line = response.readline()
        except (OSError, HTTPException) as error:
            raise connections.unreachable(error, asked=True) from error
        if not line.endswith(b"\n"):
            return
        yield line


def _is_repeatable(method: str, query: Mapping[str, Any]) -> bool:
    return method != "POST" or bool(query.get("dryRun"))


def _pause(response: Response, attempt: int) -> float:
    asked = response.headers.get("Retry-After", "")
    return min(float(asked), 10.0) if asked.isdigit() else min(0.2 * 2**attempt, 5.0)


def _status(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except ValueError:
        document = None
    return document if isinstance(document, dict) else {"message": content.decode(errors="replace").strip()}


def _dry(dry_run: bool) -> str:  # noqa: FBT001  # the query's own flag
    return "All" if dry_run else ""
