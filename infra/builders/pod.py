"""Build a pod template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from infra.builders.container import ContainerSpec, container
from infra.builders.labels import labels, selector
from infra.builders.security import pod_security_context
from infra.builders.volumes import Mount, volumes

if TYPE_CHECKING:
    import pulumi

Json = dict[str, object]

# A pod whose annotations differ is another pod, so what is written under these rolls it.
CHECKSUM_PREFIX = "checksum.stampchat/"


@dataclass(frozen=True)
class PodSpec:
    """Say what is particular about one workload's pods.

    Attributes:
        name: of the workload, and of its ServiceAccount.
        component: its role, for the labels.
        containers: what runs.
        init_containers: what runs before, one after the other.
        checksums: of everything mounted, by its name; a change rolls the pods.
        grace_seconds: from the announcement of the end to the kill.
        spread: whether replicas keep to different nodes and zones.
        use_api: whether the pod talks to the API server and gets a token for it.
        pull_secret: the Secret that the images' registry is shown, or nothing.
    """

    name: str
    component: str
    containers: Sequence[ContainerSpec]
    init_containers: Sequence[ContainerSpec] = ()
    checksums: Mapping[str, pulumi.Input[str]] = field(default_factory=dict)
    grace_seconds: int = 30
    spread: bool = False
    use_api: bool = False
    pull_secret: str = ""


def pod_template(spec: PodSpec) -> Json:
    """Build a pod template."""
    pod: Json = {
        "serviceAccountName": spec.name,
        "automountServiceAccountToken": spec.use_api,
        # The variables that Docker links once made: names clash, and a thousand Services make a slow start.
        "enableServiceLinks": False,
        "securityContext": pod_security_context(),
        "terminationGracePeriodSeconds": spec.grace_seconds,
        "containers": [container(part) for part in spec.containers],
    }
    if spec.pull_secret:
        pod["imagePullSecrets"] = [{"name": spec.pull_secret}]
    if spec.init_containers:
        pod["initContainers"] = [container(part) for part in spec.init_containers]
    if built := volumes(_distinct([*spec.init_containers, *spec.containers])):
        pod["volumes"] = built
    if spec.spread:
        pod["topologySpreadConstraints"] = _spread(spec.name)
        pod["affinity"] = _apart(spec.name)
    metadata: Json = {"labels": labels(spec.name, spec.component)}
    if spec.checksums:
        metadata["annotations"] = {f"{CHECKSUM_PREFIX}{name}": value for name, value in sorted(spec.checksums.items())}
    return {"metadata": metadata, "spec": pod}


def _distinct(parts: Sequence[ContainerSpec]) -> list[Mount]:
    return list({mount.name: mount for part in parts for mount in part.mounts}.values())


def _spread(name: str) -> list[Json]:
    return [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "labelSelector": {"matchLabels": selector(name)},
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


def _apart(name: str) -> Json:
    term = {"labelSelector": {"matchLabels": selector(name)}, "topologyKey": "kubernetes.io/hostname"}
    weighted = {"weight": 100, "podAffinityTerm": term}
    return {"podAntiAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [weighted]}}
