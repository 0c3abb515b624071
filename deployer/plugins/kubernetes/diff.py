"""Say what an update would change, and whether it can be done in place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any

from deployer.plugins.kubernetes.paths import Path, format_path, parse_path, starts_with
from deployer.plugins.kubernetes.replaced import Pattern
from deployer.plugins.values import UNKNOWN

_MISSING: Any = object()


class Change(Enum):
    """Name what happens to one property, in the protocol's order (add, delete, update)."""

    ADD = "ADD"
    DELETE = "DELETE"
    UPDATE = "UPDATE"


@dataclass(frozen=True)
class Difference:
    """Describe the change of one property.

    Attributes:
        path: where.
        change: what happens there.
        replaces: whether the object has to be made anew for it.
    """

    path: Path
    change: Change
    replaces: bool

    @property
    def text(self) -> str:
        """The path as the engine writes it."""
        return format_path(self.path)

    @property
    def input_only(self) -> bool:
        """Whether only the inputs show it: what is deleted is still in the live object."""
        return self.change is Change.DELETE


def compare(
    old: Mapping[str, Any],
    new: Mapping[str, Any],
    *,
    old_inputs: Mapping[str, Any],
    replaced: Sequence[Pattern],
    ignored: Sequence[str] = (),
) -> list[Difference]:
    """Compare an object with what the program wants now.

    Args:
        old: the live object, pruned to the old inputs.
        new: the new inputs.
        old_inputs: the inputs that led to the live object: where they equal the new ones, a difference to the live
            object is the server's own spelling and no change to make.
        replaced: the paths that cannot change in place.
        ignored: the program's ignoreChanges.
    """
    skipped = [parse_path(path) for path in ignored]
    found = []
    for path, change, value in _walk((), old, new, old_inputs):
        if any(starts_with(path, prefix) for prefix in skipped):
            continue
        found.append(Difference(path, change, any(_touches(path, value, pattern) for pattern in replaced)))
    return found


def _walk(path: Path, old: Any, new: Any, old_input: Any) -> Iterator[tuple[Path, Change, Any]]:
    if new is _MISSING:
        if old is not _MISSING:
            yield path, Change.DELETE, None
    elif new == UNKNOWN:
        yield path, Change.ADD if old is _MISSING else Change.UPDATE, new
    elif _same(old_input, new) or _same(old, new):
        return
    elif old is _MISSING:
        yield path, Change.ADD, new
    elif isinstance(old, Mapping) and isinstance(new, Mapping):
        inputs = old_input if isinstance(old_input, Mapping) else {}
        for key in [*new, *(key for key in old if key not in new)]:
            yield from _walk((*path, key), old.get(key, _MISSING), new.get(key, _MISSING), inputs.get(key, _MISSING))
    elif isinstance(old, list) and isinstance(new, list):
        inputs_list = old_input if isinstance(old_input, list) else []
        for index in range(max(len(old), len(new))):
            yield from _walk((*path, index), _at(old, index), _at(new, index), _at(inputs_list, index))
    else:
        yield path, Change.UPDATE, new


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return old.keys() == new.keys() and all(_same(value, new[key]) for key, value in old.items())
    if isinstance(old, list) and isinstance(new, list):
        return len(old) == len(new) and all(map(_same, old, new))
    # In Python True equals 1; in a manifest it does not.
    return isinstance(old, bool) == isinstance(new, bool) and bool(old == new)


def _at(items: list[Any], index: int) -> Any:
    return items[index] if index < len(items) else _MISSING


def _touches(path: Path, value: Any, pattern: Pattern) -> bool:
    """Say whether a change at a path, to a value, changes what a pattern names."""
    if starts_with(path, pattern):
        return True
    if len(path) >= len(pattern) or not all(w in ("*", s) for s, w in zip(path, pattern, strict=False)):
        return False
    return _holds(value, pattern[len(path) :])


def _holds(value: Any, pattern: Sequence[str]) -> bool:
    if not pattern:
        return True
    if isinstance(value, list):
        return pattern[0] == "*" and any(_holds(item, pattern[1:]) for item in value)
    return isinstance(value, Mapping) and pattern[0] in value and _holds(value[pattern[0]], pattern[1:])
