"""Share an object's fields with others: who manages what, and what to do where two want the same."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from deployer.plugins.kubernetes.api import Manifest
from deployer.plugins.kubernetes.errors import ApiError, KubernetesError
from deployer.plugins.kubernetes.manifest import dig, label_of
from deployer.plugins.kubernetes.paths import Path, parse_path
from deployer.plugins.kubernetes.state import CLIENT_SIDE_MANAGER

# Whoever managed an object before it was applied by the server under our name, as the official plugin has them.
_PREDECESSORS = frozenset(
    {
        (CLIENT_SIDE_MANAGER, "Update"),
        ("pulumi-kubernetes.exe", "Update"),
        ("pulumi-resource-kubernetes", "Update"),
        ("kubectl", "Apply"),
        ("kubectl", "Update"),
        ("kubectl-client-side-apply", "Update"),
        ("before-first-apply", "Update"),
    }
)
_OTHER = re.compile(r'conflicts? with "([^"]+)"')

FieldSet = dict[str, Any]


def take_over(live: Manifest, manager: str) -> list[dict[str, Any]] | None:
    """Return the JSON patch that gives our predecessors' fields to a manager; None if there are none.

    A create cannot be applied by the server (it would take over objects of others), so its fields are noted under
    a common name first.
    """
    entries: list[dict[str, Any]] = dig(live, "metadata", "managedFields", default=[])
    old = [entry for entry in entries if _is_predecessor(entry)]
    if not old:
        return None
    ours = next((entry for entry in entries if _is_ours(entry, manager)), None)
    kept = [entry for entry in entries if entry not in old and entry is not ours]
    fields: FieldSet = dict(dig(ours, "fieldsV1", default={}))
    for entry in old:
        fields = _union(fields, entry.get("fieldsV1") or {})
    merged = {**(ours or old[-1]), "manager": manager, "operation": "Apply", "fieldsV1": fields}
    return [
        {"op": "replace", "path": "/metadata/managedFields", "value": [*kept, merged]},
        {"op": "replace", "path": "/metadata/resourceVersion", "value": live["metadata"]["resourceVersion"]},
    ]


def leave_ignored(inputs: Manifest, live: Manifest, ignored: Sequence[str], manager: str) -> Manifest:
    """Return the inputs so that an apply does not change what the program ignores.

    A field that only others manage is left out; one of ours keeps the value that it has in the cluster.
    """
    result = inputs
    for text in ignored:
        path = parse_path(text)
        found = dig(live, *path)
        if "*" in path or found is None:
            continue
        mine = any(_has(e.get("fieldsV1") or {}, path) for e in _entries(live) if _is_ours(e, manager))
        theirs = any(_has(e.get("fieldsV1") or {}, path) for e in _entries(live) if not _is_ours(e, manager))
        result = _put(result, path, None if theirs and not mine else found)
    return result


def explain_conflict(error: ApiError, manifest: Manifest) -> KubernetesError:
    """Return an error that names who else manages the fields."""
    fields = "\n".join(
        f"{cause.get('field')}: managed by {_other(str(cause.get('message')))}" for cause in error.causes
    )
    others = sorted({_other(str(cause.get("message"))) for cause in error.causes})
    return KubernetesError(
        f"{label_of(manifest)} was not changed: {' and '.join(others) or 'another manager'} manages fields of it.",
        said=fields or error.what,
        advice="Leave the fields out, list them in ignore_changes, or take them over: annotation "
        'pulumi.com/patchForce: "true".',
    )


def _entries(live: Manifest) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = dig(live, "metadata", "managedFields", default=[])
    return entries


def _is_predecessor(entry: Mapping[str, Any]) -> bool:
    # What a controller writes to the status is never ours.
    return not entry.get("subresource") and (entry.get("manager"), entry.get("operation")) in _PREDECESSORS


def _is_ours(entry: Mapping[str, Any], manager: str) -> bool:
    return entry.get("manager") == manager and entry.get("operation") == "Apply" and not entry.get("subresource")


def _union(left: FieldSet, right: FieldSet) -> FieldSet:
    merged = dict(left)
    for key, value in right.items():
        merged[key] = _union(merged[key], value) if key in merged else value
    return merged


def _has(fields: FieldSet, path: Path) -> bool:
    """Say whether a set of managed fields has a path; inside a list it is enough that it has the list."""
    for step in path:
        if isinstance(step, int):
            return bool(fields)
        if f"f:{step}" not in fields:
            return False
        fields = fields[f"f:{step}"]
    return True


def _put(value: Any, path: Path, new: Any) -> Any:
    """Return the value with a new one at a path, or without it where the new one is None."""
    if not path:
        return new
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        if not isinstance(value, list) or step >= len(value):
            return value
        return [_put(item, rest, new) if index == step else item for index, item in enumerate(value)]
    if not isinstance(value, Mapping) or (new is None and step not in value):
        return value
    inner = _put(value.get(step, {}), rest, new)
    return {key: item for key, item in {**value, step: inner}.items() if item is not None}


def _other(message: str) -> str:
    match = _OTHER.search(message)
    return match[1] if match else message
