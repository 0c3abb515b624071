"""Compare the series that an expression asks for with what a program really exports."""

from __future__ import annotations

from prometheus_client.parser import text_string_to_metric_families

from tests.promql import Selector

# What Prometheus and the PodMonitors add to each series, and what a Grafana variable stands for.
ADDED = frozenset({"job", "pod", "instance", "namespace", "container"})
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "gauge": ("",)}
# Answers that no test should have to provoke; the label itself is checked.
FREE = frozenset({"status", "reason", "outcome", "service"})
# How the names begin of what cert-manager exports, and not we.
CERT_MANAGERS = "certmanager_"

Exported = dict[str, dict[str, set[str]]]


def read_exported(text: str) -> Exported:
    """Read what a /metrics answers: values by label, by the name of the series."""
    found: Exported = {}
    for family in text_string_to_metric_families(text):
        for suffix in SUFFIXES.get(family.type, ()):
            found.setdefault(family.name + suffix, {})
        for sample in family.samples:
            for label, value in sample.labels.items():
                found.setdefault(sample.name, {}).setdefault(label, set()).add(value)
    return found


def problem(selector: Selector, exported: Exported) -> str:
    """Say what a selector asks for that nobody exports, or nothing."""
    if selector.name not in exported:
        return f"nobody exports {selector.name}"
    known = exported[selector.name]
    for label, value in selector.labels:
        if label in ADDED:
            continue
        # A series whose labels nothing has set yet shows none; docs/operations.md, which a test compares, has them.
        if known and label not in known:
            return f"{selector.name} has no label {label}"
        if known and label not in FREE and value not in known[label]:
            return f"{selector.name} has no {label}={value!r}"
    return ""
