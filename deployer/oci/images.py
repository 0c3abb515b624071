"""Describe images as a registry keeps them: configuration, manifest, and the index over several processors.

The formats are https://github.com/opencontainers/image-spec/blob/v1.1.0/{config,manifest,image-index}.md.
The same layers and settings always give the same bytes, so an image's digest changes only with what is in it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from deployer.oci.layers import Layer

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"

# A time of build would make every digest new.
_EPOCH = "1970-01-01T00:00:00Z"


@dataclass(frozen=True)
class ImageSpec:
    """Say what an image holds and how it starts.

    Attributes:
        name: the repository with its registry and without tag or digest ("stampchat.local/services").
        layers: from the lowest up.
        entrypoint: the program and its fixed arguments.
        cmd: arguments that a Pod may replace.
        env: variables, in order.
        user: "uid:gid", numeric so that runAsNonRoot can be checked.
        working_dir: where the program starts.
        stop_signal: what asks the program to end, where SIGTERM is not it ("SIGINT").
        labels: anything to know about the image.
    """

    name: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    user: str = "10001:10001"
    working_dir: str = "/"
    stop_signal: str = "SIGTERM"
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Built:
    """Hold what a registry keeps of an image for one processor.

    Attributes:
        arch: the processor in Go's words.
        config: the configuration's bytes.
        manifest: the manifest's bytes.
        layers: from the lowest up.
    """

    arch: str
    config: bytes
    manifest: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """The manifest's digest, "sha256:…"."""
        return digest_of(self.manifest)

    @property
    def size(self) -> int:
        """Its layers together, in bytes."""
        return sum(layer.size for layer in self.layers)

    @property
    def descriptor(self) -> dict[str, Any]:
        """What an index says of it."""
        return {**describe(MANIFEST, self.manifest), "platform": {"architecture": self.arch, "os": "linux"}}


def build(image: ImageSpec, *, arch: str) -> Built:
    """Make an image's configuration and manifest, without writing anything.

    Args:
        image: what it holds.
        arch: the processor in Go's words ("amd64").
    """
    config, manifest = _describe(image, arch)
    return Built(arch, config, manifest, image.layers)


def build_index(builds: Sequence[Built]) -> bytes:
    """Make the index by which a cluster finds the image of its own processor.

    Args:
        builds: the same image for one processor each.
    """
    manifests = [each.descriptor for each in sorted(builds, key=lambda each: each.arch)]
    return canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})


def digest_of_all(builds: Sequence[Built]) -> str:
    """Return what a Pod names: the one image's digest, or that of the index over several."""
    return builds[0].digest if len(builds) == 1 else digest_of(build_index(builds))


def describe(media_type: str, content: bytes) -> dict[str, Any]:
    """Return a blob's descriptor: its type, digest and size."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def digest_of(content: bytes) -> str:
    """Return the digest of some bytes, "sha256:…"."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def canonical_json(value: object) -> bytes:
    """Write a value as JSON, the same bytes each time."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _describe(image: ImageSpec, arch: str) -> tuple[bytes, bytes]:
    """Return the image's configuration and manifest as JSON."""
    config = canonical_json(
        {
            "architecture": arch,
            "os": "linux",
            "created": _EPOCH,
            "config": {
                "User": image.user,
                "Env": [f"{key}={value}" for key, value in image.env],
                "Entrypoint": list(image.entrypoint),
                "Cmd": list(image.cmd),
                "WorkingDir": image.working_dir,
                "StopSignal": image.stop_signal,
                "Labels": dict(image.labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
        },
    )
    layers = [{"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in image.layers]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": describe(CONFIG, config), "layers": layers}
    return config, canonical_json(manifest)
