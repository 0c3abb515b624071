"""Build what a prometheus-operator takes up: which pods it scrapes, the rules, and the dashboard beside them."""

from __future__ import annotations

from typing import Any

from infra.builders.labels import labels, selector
from infra.catalogue import NAMESPACE, TLS_SECRET, Application
from infra.observability.alerts import rule_groups
from infra.observability.certificate import ENDS, READY, RENEWAL
from infra.observability.config import ObservabilityConfig

Json = dict[str, Any]

API_VERSION = "monitoring.coreos.com/v1"
NAME = "stampchat"
DASHBOARD = "stampchat-dashboard"
# By this label the sidecar of Grafana's usual chart finds a dashboard in any namespace.
DASHBOARD_LABEL = {"grafana_dashboard": "1"}
SCRAPE_INTERVAL = "15s"
# A certificate changes once in two months.
CERTIFICATE_INTERVAL = "60s"
CERT_MANAGER = "stampchat-cert-manager"
# Where its documentation, and platform.install, put cert-manager.
CERT_MANAGER_NAMESPACE = "cert-manager"


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


def certificate_monitor(config: ObservabilityConfig) -> Json:
    """Have cert-manager asked about our certificate, and keep nothing else of what it tells.

    Its chart names pods and port so; by its own values it is scraped only where somebody wants it to be.
    """
    kept = {
        "sourceLabels": ["__name__", "name"],
        "separator": ";",
        "regex": f"({ENDS}|{RENEWAL}|{READY});{TLS_SECRET}",
        "action": "keep",
    }
    endpoint = {
        "port": "http-metrics",
        "path": "/metrics",
        "interval": CERTIFICATE_INTERVAL,
        "metricRelabelings": [kept],
    }
    chosen = {"app.kubernetes.io/name": "cert-manager", "app.kubernetes.io/component": "controller"}
    return {
        "apiVersion": API_VERSION,
        "kind": "PodMonitor",
        "metadata": {
            "name": CERT_MANAGER,
            "namespace": NAMESPACE,
            "labels": {**config.labels, **labels(CERT_MANAGER, "observability")},
        },
        "spec": {
            "jobLabel": "app.kubernetes.io/name",
            "namespaceSelector": {"matchNames": [CERT_MANAGER_NAMESPACE]},
            "selector": {"matchLabels": chosen},
            "podMetricsEndpoints": [endpoint],
        },
    }


def prometheus_rule(config: ObservabilityConfig, *, certificate: bool) -> Json:
    """Have the alerts evaluated.

    Args:
        config: who watches.
        certificate: whether the stack has one.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": "PrometheusRule",
        "metadata": {
            "name": NAME,
            "namespace": NAMESPACE,
            "labels": {**config.labels, **labels(NAME, "observability")},
        },
        "spec": {"groups": rule_groups(config.runbooks, certificate=certificate)},
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
