"""Write the difference between what a resource was and what it would be, as lines that a person compares."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import yaml

# A ConfigMap may hold a whole program.
MOST_CHARACTERS = 300

# Such as containers[0].env["a.b"].
_PART = re.compile(r"\[\"((?:[^\"\\]|\\.)*)\"\]|\[(\d+)\]|\.?([^.\[]+)")
_ABSENT = object()


def difference(op: str, old: Mapping[str, Any], new: Mapping[str, Any], detail: Mapping[str, Any]) -> list[str]:
    """List what changes, a line each, beginning with "+", "-" or a space.

    Args:
        op: the engine's operation.
        old: the resource's inputs until now.
        new: its inputs from now on.
        detail: the differing paths, each with its kind, as the engine's `detailedDiff` has them.
    """
    if op == "create":
        return [f"+ {line}" for line in _lines(new)]
    if op == "delete":
        return [f"- {line}" for line in _lines(old)]
    return [line for path in sorted(detail) for line in _changed(path, old, new, detail[path])]


def _changed(path: str, old: Mapping[str, Any], new: Mapping[str, Any], how: Any) -> Iterator[str]:
    before, after = look_up(old, path), look_up(new, path)
    replaces = " (replaces)" if isinstance(how, Mapping) and "replace" in str(how.get("kind")) else ""
    if before is not _ABSENT and after is not _ABSENT and before == after:
        # The inputs agree, so the difference is in what the cluster made of them, or in a masked secret.
        yield f"  {path}: {_short(after)}{replaces}"
        return
    if before is not _ABSENT:
        yield f"- {path}: {_short(before)}"
    if after is not _ABSENT:
        yield f"+ {path}: {_short(after)}{replaces}"
    if before is _ABSENT and after is _ABSENT:
        yield f"  {path}{replaces}"


def look_up(value: Any, path: str) -> Any:
    """Return what a property path leads to, or a marker that equals nothing else."""
    for quoted, index, name in _PART.findall(path):
        if index and isinstance(value, Sequence) and not isinstance(value, str) and int(index) < len(value):
            value = value[int(index)]
        elif isinstance(value, Mapping) and (quoted or name) in value:
            value = value[quoted or name]
        else:
            return _ABSENT
    return value


def _lines(inputs: Mapping[str, Any]) -> list[str]:
    # __defaults and the like are the engine's own.
    shown = {key: _shortened(value) for key, value in inputs.items() if not key.startswith("__")}
    return yaml.safe_dump(shown, sort_keys=False, allow_unicode=True, width=10**9).splitlines() if shown else []


def _shortened(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_shortened(item) for item in value]
    return _cut(value) if isinstance(value, str) else value


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return _cut(text.replace("\n", "\\n"))


def _cut(text: str) -> str:
    return text if len(text) <= MOST_CHARACTERS else f"{text[:MOST_CHARACTERS]}… ({len(text)} characters)"
