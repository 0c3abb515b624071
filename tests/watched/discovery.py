"""Find pods as Prometheus's own discovery does, which Debian builds its Prometheus without.

https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config, role pod.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from tests.order.objects import Json, Objects

META = "__meta_kubernetes"


def discover(objects: Objects, job: Json) -> list[Json]:
    """List a job's targets, not relabelled yet, as static configs.

    Args:
        objects: the cluster.
        job: a scrape configuration whose discoveries are of pods.
    """
    found = []
    for discovery in job["kubernetes_sd_configs"]:
        assert discovery["role"] == "pod"
        for namespace in discovery["namespaces"]["names"]:
            listed = (objects.read(f"/api/v1/namespaces/{namespace}/pods") or {"items": []})["items"]
            found += [target for pod in listed for target in _targets(pod)]
    return found


def _targets(pod: Json) -> Iterator[Json]:
    metadata, status = pod["metadata"], pod["status"]
    own = {"namespace": metadata["namespace"], "pod_name": metadata["name"], "pod_ip": status["podIP"]}
    own |= {"pod_phase": status["phase"], "pod_uid": metadata["uid"]}
    for name, value in metadata["labels"].items():
        plain = re.sub(r"\W", "_", name)
        own |= {f"pod_label_{plain}": value, f"pod_labelpresent_{plain}": "true"}
    for container in pod["spec"]["containers"]:
        for port in container.get("ports", []):
            number = str(port["containerPort"])
            labels = own | {"pod_container_name": container["name"], "pod_container_port_number": number}
            labels |= {"pod_container_port_name": port["name"], "pod_container_port_protocol": "TCP"}
            meta = {f"{META}_{name}": value for name, value in labels.items()}
            yield {"targets": [f"{status['podIP']}:{number}"], "labels": meta}
