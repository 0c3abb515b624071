"""Read who watches the deployment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from infra.values import Values

ObservabilityKind = Literal["off", "prometheus-operator"]

KEY = "observability"
# Where a cluster's Prometheus usually is.
MONITORING_NAMESPACE = "monitoring"
# Where this project's pages about alerts are, seen from the checkout; a person's own fork has an address.
RUNBOOKS = "docs/alerts"
# https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set
_NAME = re.compile(r"([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?/)?[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")
_VALUE = re.compile(r"([A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?)?")
_NAMESPACE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


@dataclass(frozen=True)
class ObservabilityConfig:
    """Say who watches the deployment.

    Attributes:
        kind: off, or prometheus-operator for a cluster in which one runs.
        namespace: where Prometheus runs; from there alone metrics may be asked for.
        labels: what its Prometheus asks of the objects that it takes up.
        runbooks: what stands before the name of an alert's page.
    """

    kind: ObservabilityKind = "off"
    namespace: str = MONITORING_NAMESPACE
    labels: Mapping[str, str] = field(default_factory=dict)
    runbooks: str = RUNBOOKS


def read_observability(reader: Values) -> ObservabilityConfig:
    """Read who watches the deployment; what is wrong is remembered by the reader."""
    nested = reader.nested(KEY)
    kind: ObservabilityKind = nested.choice("kind", ("off", "prometheus-operator"), "off")
    namespace = nested.text("namespace", MONITORING_NAMESPACE)
    if not _NAMESPACE.fullmatch(namespace):
        nested.problem("namespace", f"is {namespace!r}, not the name of a namespace")
    runbooks = nested.text("runbooks", RUNBOOKS).rstrip("/")
    labels = nested.mapping("labels")
    for name, value in labels.items():
        if not _NAME.fullmatch(name) or not _VALUE.fullmatch(value):
            nested.problem("labels", f"holds {name}: {value!r}, which is no label of Kubernetes")
    nested.reject_unread()
    return ObservabilityConfig(kind, namespace, labels, runbooks)
