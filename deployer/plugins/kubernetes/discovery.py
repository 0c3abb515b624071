"""Find where objects of a kind lie in the API, and remember it."""

from __future__ import annotations

import threading
from typing import Any

from deployer.plugins.kubernetes.api import Api, Resource
from deployer.plugins.kubernetes.errors import ApiError, UnknownKindError
from deployer.plugins.kubernetes.kinds import Kind


class Discovery:
    """Ask the server once for each group and version that is used.

    Args:
        api: the cluster.
    """

    def __init__(self, api: Api) -> None:
        self._api = api
        self._known: dict[str, dict[str, Resource]] = {}
        self._promised: dict[tuple[str, str], bool] = {}
        self._lock = threading.Lock()

    def find(self, kind: Kind) -> Resource:
        """Return where a kind's objects lie.

        Raises:
            UnknownKindError: the server has no such kind now; it is asked again the next time.
        """
        with self._lock:
            known = self._known.get(kind.api_version) or {}
            if kind.kind not in known:
                known = self._known[kind.api_version] = self._ask(kind.api_version)
        if kind.kind not in known:
            raise UnknownKindError(kind.api_version, kind.kind)
        return known[kind.kind]

    def namespaced(self, kind: Kind) -> bool:
        """Say whether a kind's objects live in namespaces; yes for a kind that nobody knows yet."""
        if kind.namespaced is not None:
            return kind.namespaced
        promised = self._promised.get((kind.group, kind.kind))
        if promised is not None:
            return promised
        try:
            return self.find(kind).namespaced
        except UnknownKindError:
            return True

    def promise(self, definition: dict[str, Any]) -> None:
        """Take note of a CustomResourceDefinition that the program is about to create."""
        spec = definition.get("spec")
        names = spec.get("names") if isinstance(spec, dict) else None
        if isinstance(spec, dict) and isinstance(names, dict):
            self._promised[str(spec.get("group")), str(names.get("kind"))] = spec.get("scope") == "Namespaced"

    def forget(self) -> None:
        """Ask anew from now on: kinds came or went."""
        with self._lock:
            self._known.clear()

    def _ask(self, api_version: str) -> dict[str, Resource]:
        path = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
        try:
            answer = self._api.read(path)
        except ApiError as error:
            if error.not_found:
                return {}
            raise
        return {
            item["kind"]: Resource(api_version, item["name"], namespaced=bool(item["namespaced"]))
            for item in answer.get("resources") or []
            if "/" not in item["name"]  # a part such as pods/log
        }
