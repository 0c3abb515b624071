"""Read cert-manager's own metrics as the stack's monitor has them scraped."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

from prometheus_client.parser import text_string_to_metric_families

from deployer.kube import Kube, Pod
from deployer.top.forward import forward, get
from infra.catalogue import TLS_SECRET
from infra.observability.config import ObservabilityConfig
from infra.observability.objects import certificate_monitor
from tests.order.objects import Objects


def scrape(objects: Objects, kube: Kube) -> str:
    """Ask the one pod that the monitor chooses, at the port and path that it names."""
    spec = certificate_monitor(ObservabilityConfig(kind="prometheus-operator"))["spec"]
    (endpoint,), (namespace,) = spec["podMetricsEndpoints"], spec["namespaceSelector"]["matchNames"]
    chosen = spec["selector"]["matchLabels"].items()
    listed = (objects.read(f"/api/v1/namespaces/{namespace}/pods") or {"items": []})["items"]
    (pod,) = [item for item in listed if item["metadata"]["labels"].items() >= chosen]
    (port,) = [port for port in pod["spec"]["containers"][0]["ports"] if port["name"] == endpoint["port"]]
    place = SimpleNamespace(namespace=namespace, name=pod["metadata"]["name"], internal_port=port["containerPort"])
    with forward(kube, cast("Pod", place)) as connection:
        return get(connection, endpoint["path"])[1]


def figure(text: str, series: str) -> float:
    """Read a figure of our certificate; 0 where there is none."""
    families = text_string_to_metric_families(text)
    samples = [sample for family in families for sample in family.samples if sample.name == series]
    return sum(sample.value for sample in samples if sample.labels.get("name") == TLS_SECRET)
