"""Read the inputs of random resources as the official plugin does, and name those that it would refuse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from deployer.plugins.values import Secret, has_unknown

_NUMBER = re.compile(r"[+-]?[0-9]+")
_LARGEST = 2**63 - 1
_WORDS = {
    "whole": "a whole number",
    "flag": "true or false",
    "text": "a string",
    "texts": "a list of strings",
    "keepers": "a map of strings",
}


@dataclass(frozen=True)
class Field:
    """Describe one input.

    Attributes:
        type: what it holds.
        required: nothing can be drawn without it.
        default: what the state holds where the program says nothing; None for nothing.
        least: the smallest number that is taken.
    """

    type: Literal["whole", "flag", "text", "texts", "keepers"]
    required: bool = False
    default: Any = None
    least: int | None = None


@dataclass(frozen=True)
class Problem:
    """Name an input that cannot be kept.

    Attributes:
        property: its name.
        rule: what must hold, to be read behind the name.
        found: what was given instead, where that helps; it is for the user alone, and not shown if it may be secret.
    """

    property: str
    rule: str
    found: Any = None


def read(fields: Mapping[str, Field], properties: Mapping[str, Any]) -> dict[str, Any]:
    """Return the inputs that are given, each as its type; one that is of no such type stays, for `problems` to name.

    As with the official plugin "12" is a number where a number is asked for, and 12 is text where text is.

    Args:
        fields: the kind's inputs.
        properties: inputs or a state, with secrets and unknowns in them.
    """
    found = {name: _read(field.type, properties.get(name)) for name, field in fields.items()}
    return {name: value for name, value in found.items() if value is not None}


def problems(fields: Mapping[str, Field], given: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what is missing, of another type, or too small; what is not known yet is not judged.

    Args:
        fields: the kind's inputs.
        given: the inputs as `read` returned them, without secret markers.
    """
    for name, field in fields.items():
        value = given.get(name)
        if value is None:
            if field.required:
                yield Problem(name, "it is required")
        elif has_unknown(value):
            continue
        elif not _is(field.type, value):
            yield Problem(name, f"it must be {_WORDS[field.type]}")
        elif field.least is not None and value < field.least:
            yield Problem(name, f"it must be at least {field.least}", value)


def _read(kind: str, value: Any) -> Any:
    """Return the value as the type, or as it is; what is not known yet reads like any other text."""
    if isinstance(value, Secret):
        inner = _read(kind, value.value)
        return None if inner is None else Secret(inner)
    if kind == "whole":
        return _read_whole(value)
    if kind == "text":
        return _read_text(value)
    if kind == "texts" and isinstance(value, list):
        return [_read("text", item) for item in value]
    if kind == "keepers" and isinstance(value, Mapping):
        return {key: _read("text", item) for key, item in value.items()}
    return value


def _read_whole(value: Any) -> Any:
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return None if value == "" else value


def _read_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{Decimal(str(value)):f}" if isinstance(value, int | float) else value


def _is(kind: str, value: Any) -> bool:
    match kind:
        case "whole":
            return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST
        case "flag":
            return isinstance(value, bool)
        case "text":
            return isinstance(value, str)
        case "texts":
            return isinstance(value, list) and all(isinstance(item, str) for item in value)
    return isinstance(value, Mapping) and all(item is None or isinstance(item, str) for item in value.values())
