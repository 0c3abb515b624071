"""Write down each finding of a judge from outside that we do not act on, with the reason; a test shows them all."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """Be one thing that a judge finds.

    Attributes:
        judge: who.
        check: its id there.
        thing: what it is about: "Deployment stampchat/stamp-chat-auth".
        said: in the judge's words.
    """

    judge: str
    check: str
    thing: str
    said: str


@dataclass(frozen=True)
class Ignored:
    """Leave a check's findings about some objects be.

    Attributes:
        judge: who.
        check: its id there.
        things: the objects, by a pattern that matches the whole of "Deployment stampchat/stamp-chat-auth".
        reason: why.
    """

    judge: str
    check: str
    things: str
    reason: str

    def covers(self, finding: Finding) -> bool:
        """Tell whether a finding is one of those."""
        same = (self.judge, self.check) == (finding.judge, finding.check)
        return same and re.fullmatch(self.things, finding.thing) is not None


IGNORED = (
    Ignored(
        "kube-score",
        "container-image-pull-policy",
        r"(Deployment|StatefulSet) .*",
        "images are named by digest, so a node that has one has the right one; Always would ask the registry at every"
        " start, and no pod would start while that is away",
    ),
    Ignored(
        "kube-score",
        "statefulset-has-servicename",
        r"StatefulSet stampchat/db-stamp-chat-(auth|channel|notifications)",
        "a headless Service would give each pod a name of its own; there is one pod, reached by its Service's name",
    ),
    Ignored(
        "kube-score",
        "service-targets-pod",
        r"Service stampchat/acme-http01-solver",
        "cert-manager's solver pods are there for a minute, while a challenge is under way",
    ),
    Ignored(
        "kube-score",
        "networkpolicy-targets-pod",
        r"NetworkPolicy stampchat(-gateway)?/acme-solver",
        "cert-manager's solver pods are there for a minute, while a challenge is under way",
    ),
    Ignored(
        "checkov",
        "CKV_K8S_38",
        r"Deployment stampchat-gateway/gateway",
        "Traefik reads its routes from the API server; every other pod has no token",
    ),
)
