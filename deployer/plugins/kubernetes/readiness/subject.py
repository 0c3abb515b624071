"""Look at one object and at what belongs to it: its pods, its events, their logs."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.plugins.kubernetes.api import EVENTS, PODS, Api, Manifest, Resource
from deployer.plugins.kubernetes.errors import ApiError, CancelledError, ClusterUnreachableError, NotReadyError
from deployer.plugins.kubernetes.manifest import dig, label_of, name_of, namespace_of, text_at

_LOG_LINES = 20
_LOG_GONE = "unable to retrieve container logs"  # the kubelet's answer, with status 200
# How long one watch lasts: in between, pods and events are looked at, and a cancellation is noticed.
_WATCH_SECONDS = 1
_RECONNECT = 0.5


@dataclass(frozen=True)
class Subject:
    """Name the object that is waited for.

    Attributes:
        api: the cluster.
        resource: where objects of its kind lie.
        created: the object as the server answered the last change.
        inputs: the object as the program gave it.
        since: when the waiting began, in seconds since 1970.
        cancelled: set when nobody waits any more.
    """

    api: Api
    resource: Resource
    created: Manifest
    inputs: Mapping[str, Any]
    since: float = field(default_factory=time.time)
    cancelled: threading.Event = field(default_factory=threading.Event)

    @property
    def namespace(self) -> str:
        """The namespace it lives in."""
        return namespace_of(self.created)

    @property
    def label(self) -> str:
        """What a person would call it."""
        return label_of(self.created)

    def follow(self, deadline: float) -> Iterator[Manifest]:
        """Yield the object at every change and at least once a second, until the deadline (of the monotonic clock).

        Raises:
            CancelledError: nobody waits any more.
            NotReadyError: the object was deleted meanwhile.
        """
        live = self.created
        yield live
        while time.monotonic() < deadline:
            if self.cancelled.is_set():
                raise CancelledError(self.label, live=live)
            try:
                for event, seen in self._changes(live):
                    if event == "DELETED":
                        raise NotReadyError(f"{self.label} was deleted while it was waited for.")
                    live = seen
                    yield live
            except ClusterUnreachableError:
                # An API server that restarts is back in seconds; the deadline ends a longer absence.
                self.cancelled.wait(_RECONNECT)
                continue
            yield live

    def _changes(self, live: Manifest) -> Iterator[tuple[str, Manifest]]:
        since = text_at(live, "metadata", "resourceVersion")
        try:
            yield from self.api.watch(self.resource, self.namespace, name_of(live), since=since, seconds=_WATCH_SECONDS)
        except ApiError:
            # The version is too old to watch from, or watching is not allowed: look once instead.
            self.cancelled.wait(_WATCH_SECONDS)
            yield "MODIFIED", self._look(live)

    def _look(self, live: Manifest) -> Manifest:
        try:
            return self.api.get(self.resource, self.namespace, name_of(live))
        except ApiError as error:
            if error.not_found:
                raise NotReadyError(f"{self.label} was deleted while it was waited for.") from error
            raise

    def pods(self, selector: Mapping[str, Any]) -> list[Manifest]:
        """Return the pods of the object's namespace that a label selector means, the newest first."""
        found = self.api.items(PODS, self.namespace, labelSelector=selector_text(selector))
        return sorted(found, key=lambda pod: text_at(pod, "metadata", "creationTimestamp"), reverse=True)

    def events(self, about: Manifest) -> list[Manifest]:
        """Return the events about an object, the newest first; none where they may not be read."""
        try:
            found = self.api.items(
                EVENTS, namespace_of(about), fieldSelector=f"involvedObject.uid={dig(about, 'metadata', 'uid')}"
            )
        except ApiError:
            return []
        return sorted(found, key=_event_time, reverse=True)

    def last_words(self, pod: Manifest, container: str) -> str:
        """Return the last lines of a container's log; of its previous run where the present one said nothing yet."""
        for previous in (False, True):
            try:
                text = self.api.logs(namespace_of(pod), name_of(pod), container, previous=previous, lines=_LOG_LINES)
            except (ApiError, ClusterUnreachableError):
                continue
            if text.strip() and not text.startswith(_LOG_GONE):
                return text.strip()
        return ""


def selector_text(selector: Mapping[str, Any]) -> str:
    """Return a label selector (matchLabels, matchExpressions) as a query has it."""
    terms = [f"{key}={value}" for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        key, operator, values = expression["key"], expression["operator"], ",".join(expression.get("values") or [])
        terms.append(
            {
                "In": f"{key} in ({values})",
                "NotIn": f"{key} notin ({values})",
                "Exists": key,
                "DoesNotExist": f"!{key}",
            }[operator]
        )
    return ",".join(terms)


def condition(manifest: Mapping[str, Any], kind: str) -> Mapping[str, Any]:
    """Return a condition of an object's status, empty if it is not there."""
    conditions = dig(manifest, "status", "conditions", default=[])
    found: Mapping[str, Any] = next((item for item in conditions if item.get("type") == kind), {})
    return found


def observed(manifest: Mapping[str, Any]) -> bool:
    """Say whether the status is about the object's present form."""
    seen = dig(manifest, "status", "observedGeneration", default=0)
    return int(seen) >= int(dig(manifest, "metadata", "generation", default=0))


def _event_time(event: Mapping[str, Any]) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or "")
