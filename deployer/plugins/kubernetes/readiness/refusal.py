"""Tell why a controller cannot create its pods: quota, Pod Security, an admission webhook."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.readiness.subject import Subject
from deployer.plugins.kubernetes.readiness.verdict import Trouble

_REFUSED = 3.0


def refusals(live: Manifest, subject: Subject) -> Iterator[Trouble]:
    """Yield the newest refusal, if the last event about the pods is one.

    A Deployment says it in a condition; a StatefulSet, a DaemonSet and a Job say it in events alone.
    """
    for event in subject.events(live):
        if event.get("reason") in ("SuccessfulCreate", "SuccessfulDelete"):
            return
        if event.get("reason") == "FailedCreate":
            yield Trouble("refused", f"its pods are refused: {str(event.get('message')).strip()}", _REFUSED)
            return
