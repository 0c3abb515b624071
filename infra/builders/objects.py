"""Build the small objects that several components share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.builders.labels import labels, selector
from infra.builders.pod import PodSpec, pod_template
from infra.builders.security import pod_security_labels

Json = dict[str, Any]


def namespace(name: str) -> Json:
    """Build a namespace that refuses whatever does not keep to `restricted`."""
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**labels(name, "namespace"), **pod_security_labels()}},
    }


def service_account(name: str, namespace: str, component: str) -> Json:
    """Build the identity of one workload; only a pod that says so gets its token."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": namespace, "labels": labels(name, component)},
        "automountServiceAccountToken": False,
    }


def opaque_secret(name: str, namespace: str, values: Mapping[str, Any]) -> Json:
    """Build a Secret from values in clear, which Kubernetes encodes once."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name, "namespace": namespace, "labels": labels(name, "secret")},
        "type": "Opaque",
        "stringData": dict(values),
    }


def registry_secret(name: str, namespace: str, content: Any) -> Json:
    """Build the Secret that the kubelet shows to a registry, from Docker's configuration as text."""
    built = opaque_secret(name, namespace, {".dockerconfigjson": content})
    return {**built, "type": "kubernetes.io/dockerconfigjson"}


@dataclass(frozen=True)
class Port:
    """Describe one port of a Service.

    Attributes:
        number: on the Service.
        target: the container port's name.
        app_protocol: what is spoken, where a gateway should know.
        node_port: on every node, if at all.
    """

    number: int
    target: str
    app_protocol: str = ""
    node_port: int = 0

    def build(self, name: str) -> Json:
        """Build the port under a name."""
        built: Json = {"name": name, "port": self.number, "targetPort": self.target, "protocol": "TCP"}
        if self.app_protocol:
            built["appProtocol"] = self.app_protocol
        if self.node_port:
            built["nodePort"] = self.node_port
        return built


def service(
    name: str,
    namespace: str,
    component: str,
    ports: Mapping[str, Port],
    *,
    kind: str = "ClusterIP",
    extra: Mapping[str, Any] | None = None,
) -> Json:
    """Build a Service in front of the workload of the same name.

    Args:
        name: of both.
        namespace: where they are.
        component: its role, for the labels.
        ports: by name.
        kind: ClusterIP, NodePort or LoadBalancer.
        extra: more of the spec.
    """
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace, "labels": labels(name, component)},
        "spec": {
            "type": kind,
            "selector": selector(name),
            "ports": [port.build(key) for key, port in ports.items()],
            **(extra or {}),
        },
    }


@dataclass(frozen=True)
class Rollout:
    """Say how many pods a Deployment has and how they are replaced.

    Attributes:
        replicas: how many, or None where an autoscaler decides.
        strategy: one more before one less, unless told otherwise.
    """

    replicas: int | None = 1
    strategy: Json = field(
        default_factory=lambda: {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}}
    )


def deployment(spec: PodSpec, namespace: str, rollout: Rollout) -> Json:
    """Build a Deployment that never has fewer ready pods than it should."""
    built: Json = {
        "selector": {"matchLabels": selector(spec.name)},
        "strategy": rollout.strategy,
        "revisionHistoryLimit": 3,
        # Shorter than the engine's own patience, so that the Deployment itself says what is wrong.
        "progressDeadlineSeconds": 240,
        "template": pod_template(spec),
    }
    if rollout.replicas is not None:
        built["replicas"] = rollout.replicas
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": spec.name, "namespace": namespace, "labels": labels(spec.name, spec.component)},
        "spec": built,
    }


def disruption_budget(name: str, namespace: str, component: str) -> Json:
    """Build a budget that lets a drained node take one pod at a time, and pods that are broken anyway at once."""
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": {"name": name, "namespace": namespace, "labels": labels(name, component)},
        "spec": {
            "maxUnavailable": 1,
            "selector": {"matchLabels": selector(name)},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        },
    }
