"""Wait for an object by the rules of its kind, and stop as soon as the reason against it is definite."""

from __future__ import annotations

import time
from collections.abc import Callable

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.errors import NotReadyError
from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.manifest import SKIP_AWAIT, WAIT_FOR, annotation, is_set
from deployer.plugins.kubernetes.readiness.certificate import certificate_troubles, issuer_troubles
from deployer.plugins.kubernetes.readiness.claim import judge_claim, judge_volume
from deployer.plugins.kubernetes.readiness.custom import make_judge
from deployer.plugins.kubernetes.readiness.daemon_set import judge_daemon_set
from deployer.plugins.kubernetes.readiness.definition import judge_definition
from deployer.plugins.kubernetes.readiness.deployment import judge_deployment
from deployer.plugins.kubernetes.readiness.ingress import judge_ingress
from deployer.plugins.kubernetes.readiness.job import judge_job
from deployer.plugins.kubernetes.readiness.pod import judge_pod
from deployer.plugins.kubernetes.readiness.service import judge_service
from deployer.plugins.kubernetes.readiness.stateful_set import judge_stateful_set
from deployer.plugins.kubernetes.readiness.subject import Subject
from deployer.plugins.kubernetes.readiness.verdict import Patience, Trouble, Verdict

Judge = Callable[[Manifest, Subject], Verdict]

_JUDGES: dict[tuple[str, str], Judge] = {
    ("", "PersistentVolume"): judge_volume,
    ("", "PersistentVolumeClaim"): judge_claim,
    ("", "Pod"): judge_pod,
    ("", "Service"): judge_service,
    ("apiextensions.k8s.io", "CustomResourceDefinition"): judge_definition,
    ("apps", "DaemonSet"): judge_daemon_set,
    ("apps", "Deployment"): judge_deployment,
    ("apps", "StatefulSet"): judge_stateful_set,
    ("batch", "Job"): judge_job,
    ("networking.k8s.io", "Ingress"): judge_ingress,
}

# What is definite about kinds that are waited for by the program's own condition alone.
_TROUBLES: dict[tuple[str, str], Callable[[Manifest], tuple[Trouble, ...]]] = {
    ("cert-manager.io", "Certificate"): certificate_troubles,
    ("cert-manager.io", "ClusterIssuer"): issuer_troubles,
}


def wait_ready(subject: Subject, kind: Kind, *, seconds: float, tell: Callable[[str], None]) -> Manifest:
    """Return the object once it is ready; at once where its kind or the program asks for no waiting.

    Args:
        subject: the object.
        kind: its kind.
        seconds: how long to wait at most.
        tell: receives one line whenever the picture changes.

    Raises:
        NotReadyError: it cannot become ready as it is, or the time is over; with the reason found.
        CancelledError: the engine was asked to stop.
    """
    judge = _judge_for(subject, kind)
    if judge is None:
        return subject.created
    patience, shown, live = Patience(), "", subject.created
    verdict = Verdict(ready=False)
    deadline = time.monotonic() + seconds
    for live in subject.follow(deadline):
        verdict = judge(live, subject)
        if verdict.ready:
            tell("")
            return live
        if verdict.line != shown:
            shown = verdict.line
            tell(shown)
        definite = patience.exhausted(verdict.troubles)
        if definite is not None:
            raise _failure(subject, definite, live)
    raise _too_late(subject, verdict, seconds, live)


def _judge_for(subject: Subject, kind: Kind) -> Judge | None:
    if is_set(subject.inputs, SKIP_AWAIT):
        return None
    wanted = annotation(subject.created, WAIT_FOR)
    if not wanted:
        return _JUDGES.get((kind.group, kind.kind))
    judge, find = make_judge(wanted), _TROUBLES.get((kind.group, kind.kind))
    return judge if find is None else _watching(judge, find)


def _watching(judge: Judge, find: Callable[[Manifest], tuple[Trouble, ...]]) -> Judge:
    def watch(live: Manifest, subject: Subject) -> Verdict:
        verdict = judge(live, subject)
        return verdict if verdict.ready else Verdict(ready=False, status=verdict.status, troubles=find(live))

    return watch


def _failure(subject: Subject, trouble: Trouble, live: Manifest) -> NotReadyError:
    return NotReadyError(
        f"{subject.label} cannot become ready: {trouble.what.rstrip('.')}.", said=trouble.said(), live=live
    )


def _too_late(subject: Subject, verdict: Verdict, seconds: float, live: Manifest) -> NotReadyError:
    trouble = next(iter(verdict.troubles), None)
    return NotReadyError(
        f"{subject.label} was not ready after {seconds:g} s: {(verdict.line or 'nothing happened').rstrip('.')}.",
        said=trouble.said() if trouble else "",
        advice="If it only needs longer, raise the annotation pulumi.com/timeoutSeconds or customTimeouts.",
        live=live,
    )
