"""Judge an Ingress: its controller gave it an address."""

from __future__ import annotations

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.manifest import dig
from deployer.plugins.kubernetes.readiness.subject import Subject
from deployer.plugins.kubernetes.readiness.verdict import READY, Verdict


def judge_ingress(live: Manifest, _: Subject) -> Verdict:
    """Say whether a controller took the Ingress up."""
    if dig(live, "status", "loadBalancer", "ingress"):
        return READY
    return Verdict(ready=False, status="waiting for an ingress controller to give it an address")
