"""Find out what is wrong with a pod, in the words of the part that fails."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.manifest import dig, name_of
from deployer.plugins.kubernetes.readiness.subject import Subject, condition
from deployer.plugins.kubernetes.readiness.verdict import NEVER, Trouble

# An answer that stays the same however often the kubelet asks; anything else may be the network.
_IMAGE_MISSING = (
    "not found", "manifest unknown", "does not exist", "not present with pull policy", "pull access denied",
    "unauthorized", "authentication required", "invalid reference format", "name unknown",
)  # fmt: skip
_IMAGE_REASONS = frozenset(
    {"ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName", "ImageInspectError"}
)
_CONFIG_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
_DEFINITE_IMAGE = 2.0  # seen twice
_PASSING_IMAGE = 20.0  # the kubelet tries again after ten
_CONFIG = 10.0  # a Secret or ConfigMap that is being created at this moment
_MOUNT = 30.0
_UNSCHEDULABLE = 10.0
_VOLUME_PENDING = 60.0  # a provisioner may have to start a pod of its own first
# What a node says of itself passes, a cordon does not: https://kubernetes.io/docs/reference/labels-annotations-taints/
_PASSING_TAINTS = tuple(
    f"node.kubernetes.io/{state}"
    for state in ("disk-pressure", "memory-pressure", "pid-pressure", "not-ready", "unreachable", "network-unavailable")
)
_NODE_TROUBLED = 60.0  # our kubelet takes pods again 15 s after its disk was full, and looks every ten
_CRASHES = 2
_OLD_CRASH = 60.0  # it crashed before this update: the next start may well succeed
_PROBE = 30.0


def diagnose(pod: Manifest, subject: Subject) -> tuple[Trouble, ...]:
    """Return what keeps a pod from being ready, the most definite first."""
    if dig(pod, "metadata", "deletionTimestamp"):
        return ()
    found = [*_scheduling(pod, subject), *_containers(pod, subject)]
    if not found:
        found = [*_events(pod, subject)]
    return tuple(sorted(found, key=lambda trouble: trouble.patience))


def diagnose_all(pods: list[Manifest], subject: Subject) -> tuple[Trouble, ...]:
    """Return the troubles of those pods that are not ready; one that is alike in several is told once."""
    troubles = {
        trouble.key: trouble
        for pod in reversed(pods)
        if condition(pod, "Ready").get("status") != "True"
        for trouble in diagnose(pod, subject)
    }
    return tuple(sorted(troubles.values(), key=lambda trouble: trouble.patience))


def _scheduling(pod: Manifest, subject: Subject) -> Iterator[Trouble]:
    scheduled = condition(pod, "PodScheduled")
    if scheduled.get("status") != "False" or scheduled.get("reason") != "Unschedulable":
        return
    message = str(scheduled.get("message") or "no node fits")
    patience = _VOLUME_PENDING if "PersistentVolumeClaim" in message else _UNSCHEDULABLE
    if any(taint in message for taint in _PASSING_TAINTS):
        patience = _NODE_TROUBLED
    # Preemption makes room, and a cluster autoscaler brings a node within minutes.
    if dig(pod, "status", "nominatedNodeName") or any(
        event.get("reason") == "TriggeredScaleUp" for event in subject.events(pod)
    ):
        patience = NEVER
    yield Trouble("unschedulable", f"pod {name_of(pod)} cannot be scheduled: {message}", patience)


def _containers(pod: Manifest, subject: Subject) -> Iterator[Trouble]:
    for status in (
        *dig(pod, "status", "initContainerStatuses", default=[]),
        *dig(pod, "status", "containerStatuses", default=[]),
    ):
        waiting = dig(status, "state", "waiting", default={})
        reason, message = str(waiting.get("reason") or ""), str(waiting.get("message") or "")
        place = f"container {status['name']} of pod {name_of(pod)}"
        if reason in _IMAGE_REASONS:
            yield _image(status, place, reason, message)
        elif reason in _CONFIG_REASONS:
            key = f"config:{status['name']}"
            yield Trouble(key, f"{place} cannot be started ({reason}): {message}", _CONFIG)
        else:
            yield from _crash(pod, subject, status, place)


def _image(status: Mapping[str, Any], place: str, reason: str, message: str) -> Trouble:
    missing = reason in ("ErrImageNeverPull", "InvalidImageName") or any(
        sign in message.lower() for sign in _IMAGE_MISSING
    )
    what = f"the image {status.get('image') or '(none)'} for {place} cannot be had ({reason}): {message}"
    # ErrImagePull and ImagePullBackOff take turns: one trouble under one key.
    return Trouble(f"image:{status['name']}", what.rstrip(": "), _DEFINITE_IMAGE if missing else _PASSING_IMAGE)


def _crash(pod: Manifest, subject: Subject, status: Mapping[str, Any], place: str) -> Iterator[Trouble]:
    ended = dig(status, "state", "terminated", default={}) or (
        dig(status, "lastState", "terminated", default={}) if "waiting" in (status.get("state") or {}) else {}
    )
    if not ended or (ended.get("exitCode") == 0 and dig(pod, "spec", "restartPolicy") != "Always"):
        return
    if ended.get("exitCode") == 0 and not _restarting(status):
        return
    restarts = int(status.get("restartCount") or 0)
    name = str(status["name"])
    final = dig(pod, "spec", "restartPolicy") == "Never"
    why = f"exit code {ended.get('exitCode')}" + (
        "" if ended.get("reason") in ("Error", None) else f", {ended['reason']}"
    )
    counted = "" if final else f", {restarts} restart{'' if restarts == 1 else 's'}"
    looping = restarts >= _CRASHES
    patience = 0 if final else NEVER if not looping else 0 if _ended_after(ended, subject.since) else _OLD_CRASH
    how = "failed" if final else "crashes again and again" if looping else "crashed"
    yield Trouble(
        f"crash:{name}:{ended.get('exitCode')}",
        f"{place} {how} ({why}{counted})",
        patience,
        lambda: subject.last_words(pod, name),
    )


def _ended_after(ended: Mapping[str, Any], moment: float) -> bool:
    finished = ended.get("finishedAt")
    # The server writes whole seconds: what ended within the same one counts.
    return not isinstance(finished, str) or datetime.fromisoformat(finished).timestamp() >= int(moment)


def _restarting(status: Mapping[str, Any]) -> bool:
    return bool(dig(status, "state", "waiting", "reason") == "CrashLoopBackOff")


def _events(pod: Manifest, subject: Subject) -> Iterator[Trouble]:
    """Tell what only events tell: volumes that cannot be mounted, probes that fail."""
    for event in subject.events(pod):
        reason, message = event.get("reason"), str(event.get("message") or "").strip()
        if reason in ("FailedMount", "FailedAttachVolume"):
            yield Trouble("mount", f"pod {name_of(pod)} cannot mount a volume: {message}", _MOUNT)
            return
        if reason == "FailedCreatePodSandBox":
            yield Trouble("sandbox", f"pod {name_of(pod)} cannot be started: {message}", _MOUNT)
            return
        if reason == "Unhealthy" and _running(pod):
            yield Trouble(
                "probe",
                f"pod {name_of(pod)} runs, but: {message}",
                _probe_patience(pod),
                lambda: _all_words(pod, subject),
            )
            return


def _running(pod: Manifest) -> bool:
    statuses = dig(pod, "status", "containerStatuses", default=[])
    return any("running" in (status.get("state") or {}) for status in statuses)


def _probe_patience(pod: Manifest) -> float:
    """Give a slow starter the time that its own probes give it."""
    longest = 0.0
    for container in dig(pod, "spec", "containers", default=[]):
        if container.get("startupProbe"):
            return NEVER  # the kubelet itself ends it in time, and then it is a crash
        probe = container.get("readinessProbe") or {}
        tries = probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10)
        longest = max(longest, probe.get("initialDelaySeconds", 0) + tries)
    return _PROBE + longest


def _all_words(pod: Manifest, subject: Subject) -> str:
    for status in dig(pod, "status", "containerStatuses", default=[]):
        if not status.get("ready"):
            return subject.last_words(pod, str(status["name"]))
    return ""
