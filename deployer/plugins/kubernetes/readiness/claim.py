"""Judge volumes and claims to them: bound, or rightly waiting for a first pod."""

from __future__ import annotations

from deployer.plugins.kubernetes.api import Manifest, Resource
from deployer.plugins.kubernetes.errors import ApiError
from deployer.plugins.kubernetes.manifest import dig, text_at
from deployer.plugins.kubernetes.readiness.subject import Subject
from deployer.plugins.kubernetes.readiness.verdict import READY, Trouble, Verdict

_STORAGE_CLASSES = Resource("storage.k8s.io/v1", "storageclasses", namespaced=False)
_PROVISIONING = 10.0


def judge_claim(live: Manifest, subject: Subject) -> Verdict:
    """Say whether a claim is bound; one whose class waits for a first consumer is ready while it waits."""
    phase = text_at(live, "status", "phase")
    if phase == "Bound" or (phase == "Pending" and _waits_for_pod(live, subject)):
        return READY
    troubles = tuple(
        Trouble("provisioning", f"no volume: {event.get('message')}", _PROVISIONING)
        for event in subject.events(live)
        if event.get("reason") == "ProvisioningFailed"
    )
    return Verdict(ready=False, status=f"claim {phase.lower() or 'new'}", troubles=troubles[:1])


def judge_volume(live: Manifest, _: Subject) -> Verdict:
    """Say whether a volume can be claimed or is."""
    phase = text_at(live, "status", "phase")
    return READY if phase in ("Available", "Bound") else Verdict(ready=False, status=f"volume {phase.lower() or 'new'}")


def _waits_for_pod(live: Manifest, subject: Subject) -> bool:
    name = text_at(live, "spec", "storageClassName")
    if not name:
        return False
    try:
        storage_class = subject.api.get(_STORAGE_CLASSES, "", name)
    except ApiError:
        return False
    return bool(dig(storage_class, "volumeBindingMode") == "WaitForFirstConsumer")
