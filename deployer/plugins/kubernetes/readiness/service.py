"""Judge a Service: it has its address, and a ready pod behind it if pods are meant to be there already."""

from __future__ import annotations

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.manifest import dig, text_at
from deployer.plugins.kubernetes.readiness.pods import diagnose_all
from deployer.plugins.kubernetes.readiness.subject import Subject, condition
from deployer.plugins.kubernetes.readiness.verdict import READY, Trouble, Verdict

_BALANCER = 60.0


def judge_service(live: Manifest, subject: Subject) -> Verdict:
    """Say whether a Service can be used.

    A Service whose pods do not exist yet is ready: its Deployment may well wait for it, and the two would wait for
    each other (the official plugin gives up after ten minutes there).
    """
    kind = text_at(live, "spec", "type")
    if kind == "ExternalName":
        return READY
    if kind == "LoadBalancer" and not dig(live, "status", "loadBalancer", "ingress"):
        return Verdict(ready=False, status="waiting for the load balancer", troubles=_balancer(live, subject))
    selector = dig(live, "spec", "selector", default={})
    if not selector or dig(live, "spec", "publishNotReadyAddresses"):
        return READY
    pods = [pod for pod in subject.pods({"matchLabels": selector}) if not dig(pod, "metadata", "deletionTimestamp")]
    if not pods or any(condition(pod, "Ready").get("status") == "True" for pod in pods):
        return READY
    return Verdict(ready=False, status=f"0/{len(pods)} pods ready behind it", troubles=diagnose_all(pods, subject))


def _balancer(live: Manifest, subject: Subject) -> tuple[Trouble, ...]:
    for event in subject.events(live):
        if event.get("reason") in ("SyncLoadBalancerFailed", "CreatingLoadBalancerFailed"):
            return (Trouble("balancer", f"no load balancer: {event.get('message')}", _BALANCER),)
    return ()
