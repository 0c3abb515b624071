"""Check an object against a CustomResourceDefinition's schema, as far as our objects use it, and strictly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "boolean": (bool,),
    "object": (dict,),
    "array": (list,),
    "number": (int, float),
}


def load_schemas(path: Path) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the schema of each (apiVersion, kind) of a file of CustomResourceDefinitions."""
    schemas = {}
    for definition in yaml.safe_load_all(path.read_text(encoding="utf-8")):
        if not definition or definition["kind"] != "CustomResourceDefinition":
            continue
        spec = definition["spec"]
        for version in spec["versions"]:
            key = (f"{spec['group']}/{version['name']}", spec["names"]["kind"])
            schemas[key] = version["schema"]["openAPIV3Schema"]
    return schemas


def violations(value: Any, schema: dict[str, Any], path: str = "") -> list[str]:
    """Say what is wrong with a value; a field that the schema does not know is wrong, since a server would drop it."""
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return []
    if schema.get("x-kubernetes-int-or-string"):
        return [] if isinstance(value, int | str) else [f"{path}: neither number nor text"]
    expected = schema.get("type")
    if expected and (not isinstance(value, _TYPES[expected]) or (expected == "integer" and isinstance(value, bool))):
        return [f"{path}: {value!r} is no {expected}"]
    found = [f"{path}: {value!r} is none of {schema['enum']}"] if value not in schema.get("enum", [value]) else []
    if isinstance(value, list):
        items = schema.get("items", {})
        return found + [each for i, item in enumerate(value) for each in violations(item, items, f"{path}[{i}]")]
    if isinstance(value, dict):
        found += [f"{path}.{key}: missing" for key in schema.get("required", []) if key not in value]
        return found + [each for key, item in value.items() for each in _property(key, item, schema, path)]
    return found


def _property(key: str, value: Any, schema: dict[str, Any], path: str) -> list[str]:
    known = schema.get("properties", {}).get(key) or schema.get("additionalProperties")
    if known is None:
        # A schema of a bare object, as metadata has, says nothing about its fields.
        return [f"{path}.{key}: unknown"] if "properties" in schema else []
    return violations(value, known, f"{path}.{key}")
