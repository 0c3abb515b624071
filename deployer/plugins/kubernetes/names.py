"""Name objects that the program left without a name: `<resource>-<eight hex digits>`, as the official plugin does."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import Any

from deployer.plugins.kubernetes.errors import KubernetesError
from deployer.plugins.kubernetes.manifest import AUTONAMED, dig, is_set, name_of, with_metadata
from deployer.plugins.values import UNKNOWN

_FIELD_MANAGER = "pulumi-kubernetes-"
_SUFFIX = 8


def is_named(manifest: Mapping[str, Any]) -> bool:
    """Say whether the object has a name, known or not."""
    metadata = manifest.get("metadata", {})
    return metadata == UNKNOWN or bool(dig(metadata, "name"))


def adopt_name(manifest: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object with the generated name that it had before, if it has none of its own."""
    if is_named(manifest) or not is_set(old, AUTONAMED) or not name_of(old):
        return dict(manifest)
    return _autonamed(manifest, name_of(old))


def assign_name(manifest: Mapping[str, Any], *, resource: str, seed: bytes, proposed: str | None) -> dict[str, Any]:
    """Return the object with a generated name, if it has none.

    Args:
        manifest: the inputs.
        resource: the resource's name in the program.
        seed: from the engine: the same in preview and update of one plan.
        proposed: the name that the project's autonaming settings give, "" when they forbid it, None without any.

    Raises:
        KubernetesError: the settings forbid a generated name.
    """
    if is_named(manifest):
        return dict(manifest)
    if dig(manifest, "metadata", "generateName"):
        raise KubernetesError(
            "metadata.generateName cannot be applied by the server: leave it out, and a name is made."
        )
    if proposed == "":
        raise KubernetesError("Autonaming is disabled: set metadata.name.")
    suffix = hashlib.sha256(seed).hexdigest()[:_SUFFIX] if seed else secrets.token_hex(_SUFFIX // 2)
    return _autonamed(manifest, proposed or f"{resource}-{suffix}")


def make_field_manager() -> str:
    """Return a new name under which the server notes which fields are ours."""
    return _FIELD_MANAGER + secrets.token_hex(_SUFFIX // 2)


def _autonamed(manifest: Mapping[str, Any], name: str) -> dict[str, Any]:
    named = with_metadata(manifest, name=name)
    annotations = dig(named, "metadata", "annotations", default={})
    if not isinstance(annotations, Mapping):
        return named
    return with_metadata(named, annotations={**annotations, AUTONAMED: "true"})
