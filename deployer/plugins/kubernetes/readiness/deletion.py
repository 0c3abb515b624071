"""Wait until an object is gone, and say who holds it when it stays."""

from __future__ import annotations

import time
from collections.abc import Callable

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.errors import ApiError, CancelledError, ClusterUnreachableError, NotReadyError
from deployer.plugins.kubernetes.manifest import dig, name_of, text_at
from deployer.plugins.kubernetes.readiness.subject import Subject, condition

_SOON = 5.0  # what goes this quickly needs no status line
_RECONNECT = 0.5


def wait_gone(subject: Subject, *, seconds: float, tell: Callable[[str], None]) -> None:
    """Return when the object does not exist any more, or another of its name has taken its place.

    Raises:
        NotReadyError: it is still there after the time.
        CancelledError: the engine was asked to stop.
    """
    began = time.monotonic()
    shown = ""
    live: Manifest | None = _look(subject)
    while live is not None:
        if subject.cancelled.is_set():
            raise CancelledError(f"The end of {subject.label}", live=live)
        if time.monotonic() - began > seconds:
            raise NotReadyError(
                f"{subject.label} is still there {seconds:g} s after its deletion: {_holders(live)}.", live=live
            )
        line = f"being deleted: {_holders(live)}"
        if time.monotonic() - began > _SOON and line != shown:
            shown = line
            tell(line)
        live = _next(subject, live)
    tell("")


def _next(subject: Subject, live: Manifest) -> Manifest | None:
    """Return the object after its next change or a second, None once it is gone."""
    since = text_at(live, "metadata", "resourceVersion")
    try:
        for event, seen in subject.api.watch(
            subject.resource, subject.namespace, name_of(live), since=since, seconds=1
        ):
            if event == "DELETED":
                return None
            live = seen
    except ApiError:
        subject.cancelled.wait(_RECONNECT)
        return _look(subject)
    except ClusterUnreachableError:
        subject.cancelled.wait(_RECONNECT)
        return live
    # A deletion that fell between two watches is not told again.
    return _look(subject)


def _look(subject: Subject) -> Manifest | None:
    try:
        found = subject.api.get(subject.resource, subject.namespace, name_of(subject.created))
    except ApiError as error:
        if error.not_found:
            return None
        raise
    same = dig(found, "metadata", "uid") == dig(
        subject.created, "metadata", "uid", default=dig(found, "metadata", "uid")
    )
    return found if same else None


def _holders(live: Manifest) -> str:
    finalizers = dig(live, "metadata", "finalizers", default=[]) + dig(live, "spec", "finalizers", default=[])
    content = [condition(live, kind) for kind in ("NamespaceContentRemaining", "NamespaceFinalizersRemaining")]
    said = [str(item.get("message")) for item in content if item.get("status") == "True"]
    named = f"held by its finalizers {', '.join(map(str, finalizers))}" if finalizers else "its end is under way"
    return "; ".join([named, *said])
