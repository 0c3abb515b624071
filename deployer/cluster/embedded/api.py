"""Speak to the cluster's API server, with the standard library: a client library takes a second to import."""

from __future__ import annotations

import http.client
import json
import ssl
from typing import Any, Self

from deployer.cluster.embedded.layout import API_PORT, Layout
from deployer.errors import DeployError

_MANAGER = "stampchat-cluster"
_TIMEOUT = 10.0
_NOT_FOUND = 404
_FIRST_ERROR = 400


class ApiUnreachableError(DeployError):
    """Say that nothing answers, or not yet."""


class Api:
    """Hold one connection to the API server, made anew when it breaks.

    Args:
        layout: the cluster; its admin's certificate must be there.
    """

    def __init__(self, layout: Layout) -> None:
        context = ssl.create_default_context(cafile=str(layout.pki / "ca.crt"))
        context.load_cert_chain(layout.pki / "admin.crt", layout.pki / "admin.key")
        self._connection = http.client.HTTPSConnection(layout.address, API_PORT, timeout=_TIMEOUT, context=context)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.close()

    def get(self, path: str) -> dict[str, Any] | None:
        """Return an object or a list, or None where there is none.

        Args:
            path: as the API spells it ("/api/v1/nodes/NAME").

        Raises:
            ApiUnreachableError: nothing answers.
            DeployError: the server refuses.
        """
        status, text = self._request("GET", path)
        if status == _NOT_FOUND:
            return None
        parsed: dict[str, Any] = json.loads(_accepted("GET", path, status, text))
        return parsed

    def ready(self) -> bool:
        """Return whether the server says that it is ready."""
        try:
            status, _ = self._request("GET", "/readyz")
        except ApiUnreachableError:
            return False
        return status < _FIRST_ERROR

    def apply(self, path: str, manifest: bytes) -> None:
        """Make an object be as a manifest says, whether it exists or not.

        Args:
            path: the object's own path.
            manifest: YAML or JSON.

        Raises:
            ApiUnreachableError: nothing answers.
            DeployError: the server refuses.
        """
        query = f"{path}?fieldManager={_MANAGER}&force=true"
        status, text = self._request("PATCH", query, manifest, "application/apply-patch+yaml")
        _accepted("PATCH", path, status, text)

    def delete(self, path: str) -> None:
        """Remove an object, if it is there.

        Args:
            path: the object's own path.

        Raises:
            ApiUnreachableError: nothing answers.
            DeployError: the server refuses.
        """
        status, text = self._request("DELETE", path)
        if status != _NOT_FOUND:
            _accepted("DELETE", path, status, text)

    def _request(self, method: str, path: str, body: bytes | None = None, kind: str = "") -> tuple[int, str]:
        headers = {"Accept": "application/json"} | ({"Content-Type": kind} if kind else {})
        try:
            self._connection.request(method, path, body=body, headers=headers)
            response = self._connection.getresponse()
            return response.status, response.read().decode(errors="replace")
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise ApiUnreachableError("The cluster's API server does not answer.", said=str(error)) from error


def has_condition(item: dict[str, Any], kind: str) -> bool:
    """Return whether an object's status has a condition that is true.

    Args:
        item: the object.
        kind: the condition's type.
    """
    conditions = (item.get("status") or {}).get("conditions") or []  # null in an object that was made just now
    return any(found["type"] == kind and found["status"] == "True" for found in conditions)


def _accepted(method: str, path: str, status: int, text: str) -> str:
    if status >= _FIRST_ERROR:
        raise DeployError(f"The cluster's API server refused {method} {path} with status {status}.", said=text[:2000])
    return text
