"""Judge a Pod: ready, or run to its end."""

from __future__ import annotations

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.manifest import dig
from deployer.plugins.kubernetes.readiness.pods import diagnose
from deployer.plugins.kubernetes.readiness.subject import Subject, condition
from deployer.plugins.kubernetes.readiness.verdict import READY, Verdict


def judge_pod(live: Manifest, subject: Subject) -> Verdict:
    """Say whether a pod is ready."""
    phase = dig(live, "status", "phase", default="Pending")
    if phase == "Succeeded" or condition(live, "Ready").get("status") == "True":
        return READY
    return Verdict(ready=False, status=str(phase).lower(), troubles=diagnose(live, subject))
