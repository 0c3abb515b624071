"""Write inputs as the API server will store them, so that a different spelling is no change."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from typing import Any

from deployer.plugins.kubernetes import quantity
from deployer.plugins.kubernetes.kinds import Kind
from deployer.plugins.kubernetes.manifest import dig
from deployer.plugins.values import has_unknown

_READ_ONLY = frozenset(
    {
        "creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
        "resourceVersion", "uid",
    }
)  # fmt: skip

# Maps of quantities, and single fields that are one.
_QUANTITY_MAPS = frozenset({"requests", "limits", "hard", "capacity", "defaultRequest", "max", "min", "overhead"})
_QUANTITY_FIELDS = frozenset({"sizeLimit", "averageValue", "divisor", "storage"})

# Fields that the server leaves out when they say nothing: Go's omitempty on plain values, not on pointers.
_DROPPED_FALSE = frozenset(
    {
        "hostIPC", "hostNetwork", "hostPID", "paused", "publishNotReadyAddresses", "readOnly", "stdin", "stdinOnce",
        "tty", "unschedulable",
    }
)  # fmt: skip
_DROPPED_MAPS = frozenset(
    {"annotations", "binaryData", "data", "labels", "limits", "matchLabels", "nodeSelector", "parameters", "requests"}
)
# The protocol's property names allow no dash.
_SCHEMA_KEYS = (
    "embedded_resource", "int_or_string", "list_map_keys", "list_type", "map_type", "preserve_unknown_fields",
    "validations",
)  # fmt: skip
_DASHED = {f"x_kubernetes_{key}": f"x-kubernetes-{key.replace('_', '-')}" for key in _SCHEMA_KEYS}
_UNDERSCORED = {dashed: plain for plain, dashed in _DASHED.items()}


def normalise(manifest: Mapping[str, Any], kind: Kind) -> dict[str, Any]:
    """Return plain inputs without nulls and read-only fields, and in the server's spelling where it has one.

    Args:
        manifest: plain inputs, secrets revealed; unknowns are left as they are.
        kind: what it is; only the spelling of built-in kinds is known.
    """
    clean: dict[str, Any] = _without_nulls(manifest)
    metadata = clean.get("metadata")
    if isinstance(metadata, dict):
        clean["metadata"] = {key: value for key, value in metadata.items() if key not in _READ_ONLY}
    if not kind.built_in:
        return clean
    if (kind.group, kind.kind) == ("", "Secret"):
        return _normalise_secret(clean)
    if (kind.group, kind.kind) == ("", "ConfigMap"):
        return clean
    if kind.kind == "CustomResourceDefinition":
        clean.pop("status", None)
        if dig(clean, "spec", "preserveUnknownFields") is False:
            clean["spec"].pop("preserveUnknownFields")
        return clean
    spelled = _spell(clean, "")
    return spelled if isinstance(spelled, dict) else clean


def dashed(value: Any) -> Any:
    """Return the value with schema keys as Kubernetes has them (x-kubernetes-…)."""
    return _renamed(value, _DASHED)


def underscored(value: Any) -> Any:
    """Return the value with schema keys as Pulumi's types have them (x_kubernetes_…)."""
    return _renamed(value, _UNDERSCORED)


def _without_nulls(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _normalise_secret(manifest: dict[str, Any]) -> dict[str, Any]:
    if has_unknown(manifest):
        return manifest
    data = manifest.get("data")
    merged = {key: _trimmed(value) for key, value in data.items()} if isinstance(data, dict) else {}
    plain = manifest.get("stringData")
    if isinstance(plain, dict) and plain:
        merged |= {key: base64.b64encode(str(value).encode()).decode() for key, value in plain.items()}
        manifest = {key: value for key, value in manifest.items() if key != "stringData"}
    return {**manifest, "data": merged} if merged else manifest


def _trimmed(encoded: Any) -> Any:
    """Return base64 as the server writes it, without the line ends that it reads over."""
    try:
        return base64.b64encode(base64.b64decode("".join(encoded.split()), validate=True)).decode()
    except (AttributeError, binascii.Error, ValueError):
        return encoded  # the server will say what is wrong with it


def _spell(value: Any, key: str) -> Any:
    if isinstance(value, dict):
        if key in _QUANTITY_MAPS:
            return {name: quantity.canonical(item) for name, item in value.items()}
        spelled = {name: _spell(item, name) for name, item in value.items()}
        return {name: item for name, item in spelled.items() if not _says_nothing(name, item)}
    if isinstance(value, list):
        return [_spell(item, "") for item in value]
    return quantity.canonical(value) if key in _QUANTITY_FIELDS else value


def _says_nothing(key: str, value: Any) -> bool:
    return value == [] or (value == {} and key in _DROPPED_MAPS) or (value is False and key in _DROPPED_FALSE)


def _renamed(value: Any, names: Mapping[str, str]) -> Any:
    if isinstance(value, Mapping):
        return {names.get(key, key): _renamed(item, names) for key, item in value.items()}
    return [_renamed(item, names) for item in value] if isinstance(value, list) else value
