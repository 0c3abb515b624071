"""Judge a Job: complete, or failed with its pod's last words."""

from __future__ import annotations

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.manifest import dig
from deployer.plugins.kubernetes.readiness.pods import diagnose, diagnose_all
from deployer.plugins.kubernetes.readiness.refusal import refusals
from deployer.plugins.kubernetes.readiness.subject import Subject, condition
from deployer.plugins.kubernetes.readiness.verdict import READY, Trouble, Verdict


def judge_job(live: Manifest, subject: Subject) -> Verdict:
    """Say whether a Job is done; a pod that failed is tried again as often as the Job allows."""
    if condition(live, "Complete").get("status") == "True" or dig(live, "spec", "suspend"):
        return READY
    pods = subject.pods(dig(live, "spec", "selector", default={}))
    failed = condition(live, "Failed")
    if failed.get("status") == "True":
        reason = f"it failed ({failed.get('reason')}): {failed.get('message')}"
        return Verdict(ready=False, status="failed", troubles=(_with_words(reason, pods, subject),))
    done, wanted = dig(live, "status", "succeeded", default=0), dig(live, "spec", "completions", default=1)
    # A failed run is not the end: the backoff limit says when to give up.
    troubles = [trouble for trouble in diagnose_all(pods, subject) if not trouble.key.startswith("crash:")]
    return Verdict(ready=False, status=f"{done}/{wanted} runs complete", troubles=(*troubles, *refusals(live, subject)))


def _with_words(reason: str, pods: list[Manifest], subject: Subject) -> Trouble:
    for pod in pods:
        for trouble in diagnose(pod, subject):
            return Trouble("failed", f"{reason}; {trouble.what}", 0, trouble.said)
    return Trouble("failed", reason, 0)
