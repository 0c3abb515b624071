"""See whether what is ready stays so: a container without a readiness probe is ready before it had time to crash."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.manifest import dig, text_at
from deployer.plugins.kubernetes.readiness.verdict import READY, Verdict

_SETTLED = 3.0
# A start that lies further ahead than this is a node's clock that goes wrong, and says nothing.
_AHEAD = 5.0


def ready_if_settled(live: Manifest, pods: Callable[[], list[Manifest]]) -> Verdict:
    """Judge a workload whose counts are right.

    Args:
        live: the workload.
        pods: finds its pods; only called where a probe does not vouch for them.
    """
    containers = dig(live, "spec", "template", "spec", "containers", default=[])
    if all("readinessProbe" in container for container in containers) or dig(live, "spec", "minReadySeconds"):
        return READY
    now = time.time()
    if any(-_AHEAD < now - start < _SETTLED for pod in pods() for start in _starts(pod)):
        return Verdict(ready=False, status="ready, seeing whether it stays so")
    return READY


def _starts(pod: Manifest) -> list[float]:
    """Return when the containers of a pod that is to stay were started; now for one that does not run."""
    if dig(pod, "metadata", "deletionTimestamp"):
        return []
    started = (
        text_at(status, "state", "running", "startedAt")
        for status in dig(pod, "status", "containerStatuses", default=[])
    )
    return [datetime.fromisoformat(text).timestamp() if text else time.time() for text in started]
