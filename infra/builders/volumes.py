"""Build volumes together with their mounts, so that no pod has the one without the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

Json = dict[str, object]

# Owner and group may read: the group is the pod's fsGroup.
SECRET_MODE = 0o440


@dataclass(frozen=True)
class Mount:
    """Pair a volume with the place where a container sees it.

    Attributes:
        name: the volume's name within its pod.
        path: where the container finds it.
        source: the volume's source, in Kubernetes' words; None for a claim that a StatefulSet's template makes.
        read_only: whether the container may write to it.
    """

    name: str
    path: str
    source: tuple[str, Json] | None
    read_only: bool = True


def secret_mount(name: str, path: str, secret: str) -> Mount:
    """Mount every key of a Secret as a file."""
    return Mount(name, path, ("secret", {"secretName": secret, "defaultMode": SECRET_MODE}))


def config_map_mount(name: str, path: str, config_map: str) -> Mount:
    """Mount every key of a ConfigMap as a file."""
    return Mount(name, path, ("configMap", {"name": config_map, "defaultMode": SECRET_MODE}))


def scratch_mount(name: str, path: str, *, size: str = "64Mi") -> Mount:
    """Mount an empty folder that lives as long as the pod."""
    return Mount(name, path, ("emptyDir", {"sizeLimit": size}), read_only=False)


def claim_mount(name: str, path: str) -> Mount:
    """Mount what a StatefulSet's claim template provides."""
    return Mount(name, path, None, read_only=False)


def volumes(mounts: Iterable[Mount]) -> list[Json]:
    """Build a pod's volumes."""
    return [{"name": mount.name, mount.source[0]: mount.source[1]} for mount in mounts if mount.source is not None]


def volume_mounts(mounts: Iterable[Mount]) -> list[Json]:
    """Build a container's mounts."""
    return [
        {"name": mount.name, "mountPath": mount.path, **({"readOnly": True} if mount.read_only else {})}
        for mount in mounts
    ]
