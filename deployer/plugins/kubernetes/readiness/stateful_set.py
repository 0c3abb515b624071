"""Judge a StatefulSet: every replica of the newest revision and ready."""

from __future__ import annotations

from typing import Any

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.manifest import dig, text_at
from deployer.plugins.kubernetes.readiness.pods import diagnose_all
from deployer.plugins.kubernetes.readiness.refusal import refusals
from deployer.plugins.kubernetes.readiness.settling import ready_if_settled
from deployer.plugins.kubernetes.readiness.subject import Subject, observed
from deployer.plugins.kubernetes.readiness.verdict import Verdict


def judge_stateful_set(live: Manifest, subject: Subject) -> Verdict:
    """Say how many replicas are ready and of the newest revision."""
    status: dict[str, Any] = dig(live, "status", default={})
    wanted = int(dig(live, "spec", "replicas", default=0))
    selector = dig(live, "spec", "selector", default={})
    if not observed(live):
        return Verdict(ready=False, status="waiting for the controller")
    ready, updated = int(status.get("readyReplicas") or 0), int(status.get("updatedReplicas") or 0)
    if ready >= wanted and (updated >= _to_update(live, wanted) or _by_hand(live)):
        return ready_if_settled(live, lambda: subject.pods(selector))
    pods = subject.pods(selector)
    line = f"{ready}/{wanted} pods ready" + (f", {updated} of the new revision" if updated < wanted else "")
    return Verdict(ready=False, status=line, troubles=(*diagnose_all(pods, subject), *refusals(live, subject)))


def _by_hand(live: Manifest) -> bool:
    return text_at(live, "spec", "updateStrategy", "type") == "OnDelete"


def _to_update(live: Manifest, wanted: int) -> int:
    partition = int(dig(live, "spec", "updateStrategy", "rollingUpdate", "partition", default=0))
    return max(0, wanted - partition)
