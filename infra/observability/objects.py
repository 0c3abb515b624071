"""Build what a prometheus-operator takes up: which pods it scrapes, the rules, and the dashboard beside them."""

from __future__ import annotations

from typing import Any

from infra.builders.labels import labels, selector
from infra.catalogue import NAMESPACE, Application
from infra.observability.alerts import rule_groups
from infra.observability.config import ObservabilityConfig

Json = dict[str, Any]

API_VERSION = "monitoring.coreos.com/v1"
NAME = "stampchat"
DASHBOARD = "stampchat-dashboard"
# By this label the sidecar of Grafana's usual chart finds a dashboard in any namespace.
DASHBOARD_LABEL = {"grafana_dashboard": "1"}
SCRAPE_INTERVAL = "15s"


def pod_monitor(application: Application, config: ObservabilityConfig) -> Json:
    """Have every pod of a service scraped on its internal port."""
    name = application.name
    return {
        "apiVersion": API_VERSION,
        "kind": "PodMonitor",
        "metadata": {"name": name, "namespace": NAMESPACE, "labels": {**config.labels, **labels(name, "service")}},
        "spec": {
            # The rules tell services apart by this one's value.
            "jobLabel": "app.kubernetes.io/name",
            "selector": {"matchLabels": selector(name)},
            "podMetricsEndpoints": [{"port": "internal", "path": "/metrics", "interval": SCRAPE_INTERVAL}],
        },
    }


def prometheus_rule(config: ObservabilityConfig) -> Json:
    """Have the alerts evaluated."""
    return {
        "apiVersion": API_VERSION,
        "kind": "PrometheusRule",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {**config.labels, **labels(NAME, "observability")},
        },
        "spec": {"groups": rule_groups(config.runbooks)},
    }


def dashboard_map(dashboard: str) -> Json:
    """Lay the dashboard where Grafana looks for it.

    Args:
        dashboard: its JSON.
    """
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": DASHBOARD,
            "namespace": NAMESPACE,
            "labels": {**DASHBOARD_LABEL, **labels(DASHBOARD, "observability")},
        },
        "data": {"stampchat.json": dashboard},
    }
