"""Compare a random resource's state with its new inputs, and say what makes a new one of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pulumi.runtime.proto import provider_pb2

from deployer.plugins.random.kinds import Kind
from deployer.plugins.values import has_unknown


def respond(kind: Kind, before: Mapping[str, Any], after: Mapping[str, Any]) -> Any:
    """Return the answer to the engine's Diff.

    Args:
        kind: the resource's kind.
        before: its settled inputs in the state, without secret markers.
        after: those that the program gives now.
    """
    changed: dict[str, list[tuple[str, str]]] = {
        name: list(_compare(before.get(name), after.get(name), name)) for name in sorted(before.keys() | after.keys())
    }
    changed = {name: found for name, found in changed.items() if found}
    replaced = [name for name in changed if _replaces(kind, name, before.get(name), after.get(name))]
    detail = {
        path: provider_pb2.PropertyDiff(
            kind=provider_pb2.PropertyDiff.Kind.Value(f"{change}_REPLACE" if name in replaced else change),
            inputDiff=True,
        )
        for name, found in changed.items()
        for path, change in found
    }
    response = provider_pb2.DiffResponse
    return response(
        changes=response.DIFF_SOME if detail else response.DIFF_NONE,
        replaces=replaced,
        diffs=list(changed),
        detailedDiff=detail,
        hasDetailedDiff=True,
    )


def _replaces(kind: Kind, name: str, before: Any, after: Any) -> bool:
    """Say whether the change asks for a new value; the few that do not are those the official plugin forgives."""
    if name == "overrideSpecial":
        return not (before == "" and after is None)
    if name == "keepers" and not kind.strict_keepers and not isinstance(after, str):
        old, new = before or {}, after or {}
        return not old.keys() <= new.keys() or any(value != old.get(key) for key, value in new.items())
    return True


def _compare(before: Any, after: Any, path: str) -> Iterator[tuple[str, str]]:
    """Yield the path of each difference with its kind."""
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in sorted(before.keys() | after.keys()):
            inner = _join(path, key)
            if key not in before or key not in after:
                yield inner, "ADD" if key in after else "DELETE"
            else:
                yield from _compare(before[key], after[key], inner)
    elif isinstance(before, list) and isinstance(after, list):
        both = min(len(before), len(after))
        for index in range(both):
            yield from _compare(before[index], after[index], f"{path}[{index}]")
        for index in range(both, max(len(before), len(after))):
            yield f"{path}[{index}]", "ADD" if index < len(after) else "DELETE"
    elif before != after or has_unknown(after):
        yield path, "ADD" if before is None else "DELETE" if after is None else "UPDATE"


def _join(path: str, key: str) -> str:
    plain = key.replace("_", "a").isalnum()
    return f"{path}.{key}" if plain else f'{path}["{key}"]'
