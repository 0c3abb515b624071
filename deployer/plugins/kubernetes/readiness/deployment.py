"""Judge a Deployment: rolled out, as `kubectl rollout status` would say."""

from __future__ import annotations

from typing import Any

from deployer.plugins.kubernetes.api import Manifest, Resource
from deployer.plugins.kubernetes.manifest import dig, text_at
from deployer.plugins.kubernetes.readiness.pods import diagnose_all
from deployer.plugins.kubernetes.readiness.settling import ready_if_settled
from deployer.plugins.kubernetes.readiness.subject import Subject, condition, observed, selector_text
from deployer.plugins.kubernetes.readiness.verdict import READY, Trouble, Verdict

_REPLICA_SETS = Resource("apps/v1", "replicasets", namespaced=True)
_REVISION = "deployment.kubernetes.io/revision"
_REFUSED = 3.0


def judge_deployment(live: Manifest, subject: Subject) -> Verdict:
    """Say how far the newest revision is; only its pods count as a reason against it."""
    if dig(live, "spec", "paused"):
        return READY
    status: dict[str, Any] = dig(live, "status", default={})
    wanted = int(dig(live, "spec", "replicas", default=0))
    updated, available = int(status.get("updatedReplicas") or 0), int(status.get("availableReplicas") or 0)
    if not observed(live):
        return Verdict(ready=False, status="waiting for the controller")
    if updated >= wanted and int(status.get("replicas") or 0) <= updated and available >= updated:
        return ready_if_settled(live, lambda: _new_pods(live, subject))
    line = f"{min(available, updated)}/{wanted} pods ready"
    if updated < wanted or int(status.get("replicas") or 0) > updated:
        line += f", {updated} of the new revision"
    return Verdict(ready=False, status=line, troubles=(*_own(live), *diagnose_all(_new_pods(live, subject), subject)))


def _own(live: Manifest) -> list[Trouble]:
    refused = condition(live, "ReplicaFailure")
    progress = condition(live, "Progressing")
    troubles = []
    if refused.get("status") == "True":
        troubles.append(Trouble("refused", f"its pods are refused: {refused.get('message')}", _REFUSED))
    if progress.get("reason") == "ProgressDeadlineExceeded":
        troubles.append(Trouble("deadline", f"it made no progress: {progress.get('message')}", 0))
    # A pod's own reason says more than the deadline that it led to.
    return troubles


def _new_pods(live: Manifest, subject: Subject) -> list[Manifest]:
    selector = dig(live, "spec", "selector", default={})
    revision = text_at(live, "metadata", "annotations", _REVISION)
    for replica_set in subject.api.items(_REPLICA_SETS, subject.namespace, labelSelector=selector_text(selector)):
        owners = dig(replica_set, "metadata", "ownerReferences", default=[])
        ours = any(owner.get("uid") == dig(live, "metadata", "uid") for owner in owners)
        if ours and text_at(replica_set, "metadata", "annotations", _REVISION) == revision:
            return subject.pods(dig(replica_set, "spec", "selector", default={}))
    return []
