"""Look into objects that may be half unknown: at preview any part of one can be a placeholder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from deployer.plugins.values import UNKNOWN

PREFIX = "pulumi.com/"
AUTONAMED = PREFIX + "autonamed"
SKIP_AWAIT = PREFIX + "skipAwait"
WAIT_FOR = PREFIX + "waitFor"
TIMEOUT_SECONDS = PREFIX + "timeoutSeconds"
REPLACE_UNREADY = PREFIX + "replaceUnready"
PATCH_FORCE = PREFIX + "patchForce"
PATCH_FIELD_MANAGER = PREFIX + "patchFieldManager"
DELETION_PROPAGATION = PREFIX + "deletionPropagationPolicy"


def dig(value: Any, *path: str | int, default: Any = None) -> Any:
    """Return what lies at a path, or the default where the path ends early."""
    for step in path:
        if isinstance(step, int):
            if not isinstance(value, list) or step >= len(value):
                return default
            value = value[step]
        else:
            if not isinstance(value, Mapping) or step not in value:
                return default
            value = value[step]
    return default if value is None else value


def text_at(value: Any, *path: str) -> str:
    """Return the text at a path; empty if there is none or it is not known."""
    found = dig(value, *path)
    return found if isinstance(found, str) and found != UNKNOWN else ""


def name_of(manifest: Mapping[str, Any]) -> str:
    """Return an object's name, empty if it has none that is known."""
    return text_at(manifest, "metadata", "name")


def namespace_of(manifest: Mapping[str, Any]) -> str:
    """Return an object's namespace, empty if it names none."""
    return text_at(manifest, "metadata", "namespace")


def annotation(manifest: Mapping[str, Any], key: str) -> str:
    """Return an annotation, empty if it is not set."""
    return text_at(manifest, "metadata", "annotations", key)


def is_set(manifest: Mapping[str, Any], key: str) -> bool:
    """Say whether an annotation is "true"."""
    return annotation(manifest, key) == "true"


def with_metadata(manifest: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """Return the object with fields of its metadata set, or removed where None; unknown metadata stays as it is."""
    metadata = manifest.get("metadata", {})
    if not isinstance(metadata, Mapping):
        return dict(manifest)
    merged = {key: value for key, value in {**metadata, **fields}.items() if value is not None}
    return {**manifest, "metadata": merged}


def object_id(manifest: Mapping[str, Any]) -> str:
    """Return the id that the state has for an object: namespace/name, or the name."""
    namespace, name = namespace_of(manifest), name_of(manifest)
    return f"{namespace}/{name}" if namespace else name


def parse_id(identifier: str) -> tuple[str, str]:
    """Return namespace and name from an id; the namespace is empty for objects without one."""
    namespace, _, name = identifier.rpartition("/")
    return namespace, name


def label_of(manifest: Mapping[str, Any]) -> str:
    """Return how a person would call an object: Deployment stampchat/stamp-chat-auth."""
    return f"{manifest.get('kind', 'Object')} {object_id(manifest)}"
