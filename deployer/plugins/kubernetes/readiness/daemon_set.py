"""Judge a DaemonSet: a ready pod of the newest revision on every node that wants one."""

from __future__ import annotations

from typing import Any

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.manifest import dig, text_at
from deployer.plugins.kubernetes.readiness.pods import diagnose_all
from deployer.plugins.kubernetes.readiness.refusal import refusals
from deployer.plugins.kubernetes.readiness.settling import ready_if_settled
from deployer.plugins.kubernetes.readiness.subject import Subject, observed
from deployer.plugins.kubernetes.readiness.verdict import Verdict


def judge_daemon_set(live: Manifest, subject: Subject) -> Verdict:
    """Say on how many nodes it is ready."""
    status: dict[str, Any] = dig(live, "status", default={})
    selector = dig(live, "spec", "selector", default={})
    if not observed(live):
        return Verdict(ready=False, status="waiting for the controller")
    wanted, ready = int(status.get("desiredNumberScheduled") or 0), int(status.get("numberReady") or 0)
    by_hand = text_at(live, "spec", "updateStrategy", "type") == "OnDelete"
    updated = wanted if by_hand else int(status.get("updatedNumberScheduled") or 0)
    if ready >= wanted and updated >= wanted:
        return ready_if_settled(live, lambda: subject.pods(selector))
    pods = subject.pods(selector)
    troubles = (*diagnose_all(pods, subject), *refusals(live, subject))
    return Verdict(ready=False, status=f"{ready}/{wanted} nodes ready", troubles=troubles)
