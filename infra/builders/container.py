"""Build a container that keeps to every rule of ours, so that no workload has to remember them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from infra.builders.security import container_security_context
from infra.builders.volumes import Mount, volume_mounts

Json = dict[str, object]


@dataclass(frozen=True)
class Size:
    """Say what a container is promised and what it may take at most.

    Attributes:
        cpu: promised, such as 100m.
        memory: promised.
        cpu_limit: at most.
        memory_limit: at most; more ends the container.
        disk: promised on the node for logs and scratch space.
        disk_limit: at most; more evicts the pod.
    """

    cpu: str
    memory: str
    cpu_limit: str
    memory_limit: str
    disk: str = "64Mi"
    disk_limit: str = "512Mi"

    def resources(self) -> Json:
        """Build a container's resources."""
        return {
            "requests": {"cpu": self.cpu, "memory": self.memory, "ephemeral-storage": self.disk},
            "limits": {"cpu": self.cpu_limit, "memory": self.memory_limit, "ephemeral-storage": self.disk_limit},
        }


@dataclass(frozen=True)
class ContainerSpec:
    """Say what is particular about one container.

    Attributes:
        name: within its pod.
        image: by digest.
        size: what it is promised and limited to.
        args: after the image's entrypoint.
        env: settings; secrets are mounted, never here.
        ports: by name.
        mounts: what it sees.
        probes: startup, liveness and readiness; an init container has none.
        stop_delay: seconds between the pod's end being announced and the signal, so that no proxy still sends to it.
    """

    name: str
    image: str
    size: Size
    args: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    ports: Mapping[str, int] = field(default_factory=dict)
    mounts: Sequence[Mount] = ()
    probes: Mapping[str, Json] = field(default_factory=dict)
    stop_delay: int = 0


def container(spec: ContainerSpec) -> Json:
    """Build a container."""
    built: Json = {
        "name": spec.name,
        "image": spec.image,
        # The digest says which bytes; a node that has them need not ask a registry.
        "imagePullPolicy": "IfNotPresent",
        "resources": spec.size.resources(),
        "securityContext": container_security_context(),
        **spec.probes,
    }
    if spec.args:
        built["args"] = list(spec.args)
    if spec.env:
        built["env"] = [{"name": name, "value": value} for name, value in sorted(spec.env.items())]
    if spec.ports:
        built["ports"] = [
            {"name": name, "containerPort": port, "protocol": "TCP"} for name, port in sorted(spec.ports.items())
        ]
    if spec.mounts:
        built["volumeMounts"] = volume_mounts(spec.mounts)
    if spec.stop_delay:
        built["lifecycle"] = {"preStop": {"sleep": {"seconds": spec.stop_delay}}}
    return built
