"""Translate between the engine's property values and Python's: secrets, unknowns, whole numbers.

`decode` gives plain dicts and lists in which a secret is a `Secret` and an unknown is the string UNKNOWN.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.struct_pb2 import NULL_VALUE, ListValue, Struct, Value

# Fixed words of the protocol: sdk/go/common/resource in Pulumi's sources.
UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # the protocol's marker, no secret
_EXACT = 2**53  # a double holds every whole number up to here


@dataclass(frozen=True)
class Secret:
    """Mark a value as secret; its repr never shows it."""

    value: Any = field(repr=False)


def decode(struct: Struct) -> dict[str, Any]:
    """Return the properties as dicts, lists, strings, numbers, booleans, None and `Secret`."""
    return {key: decode_value(value) for key, value in struct.fields.items()}


def decode_value(value: Value) -> Any:
    """Return one property value; a whole number becomes an int."""
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        return _decode_map(value.struct_value)
    if kind == "list_value":
        return [decode_value(item) for item in value.list_value.values]
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "string_value":
        return value.string_value
    if kind == "bool_value":
        return value.bool_value
    return None


def encode(properties: Mapping[str, Any]) -> Struct:
    """Return the properties as the engine wants them.

    Raises:
        TypeError: a value that has no place in a property map, such as a datetime.
    """
    return Struct(fields={key: encode_value(value) for key, value in properties.items()})


def encode_value(value: Any) -> Value:  # noqa: PLR0911  # one return a kind reads as the table that it is
    """Return one value as the engine wants it."""
    match value:
        case None:
            return Value(null_value=NULL_VALUE)
        case bool():
            return Value(bool_value=value)
        case int() | float():
            return Value(number_value=value)
        case str():
            return Value(string_value=value)
        case Secret():
            marked = {_SIGNATURE: Value(string_value=_SECRET), "value": encode_value(value.value)}
            return Value(struct_value=Struct(fields=marked))
        case Mapping():
            return Value(struct_value=encode(value))
        case list() | tuple():
            return Value(list_value=ListValue(values=[encode_value(item) for item in value]))
        case _:
            raise TypeError(f"a property cannot be a {type(value).__name__}")


def reveal(value: Any) -> Any:
    """Return the value without any secret marker, at any depth."""
    if isinstance(value, Secret):
        return reveal(value.value)
    if isinstance(value, Mapping):
        return {key: reveal(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [reveal(item) for item in value]
    return value


def has_unknown(value: Any) -> bool:
    """Say whether the value or any part of it is not known yet."""
    if isinstance(value, Secret):
        return has_unknown(value.value)
    if isinstance(value, Mapping):
        return any(has_unknown(item) for item in value.values())
    if isinstance(value, list | tuple):
        return any(has_unknown(item) for item in value)
    return bool(value == UNKNOWN)


def has_secret(value: Any) -> bool:
    """Say whether the value or any part of it is secret."""
    if isinstance(value, Secret):
        return True
    if isinstance(value, Mapping):
        return any(has_secret(item) for item in value.values())
    return isinstance(value, list | tuple) and any(has_secret(item) for item in value)


def mark_like(value: Any, like: Any) -> Any:
    """Return the value with a secret wherever `like` has one in the same place.

    Args:
        value: plain or partly marked properties, such as what a server answered.
        like: the properties whose secrecy it takes over, such as the inputs.
    """
    if isinstance(like, Secret):
        return value if isinstance(value, Secret) else Secret(value)
    if isinstance(value, Mapping) and isinstance(like, Mapping):
        return {key: mark_like(item, like[key]) if key in like else item for key, item in value.items()}
    if isinstance(value, list) and isinstance(like, list):
        paired = [mark_like(item, other) for item, other in zip(value, like, strict=False)]
        return paired + value[len(paired) :]
    return value


def _decode_map(struct: Struct) -> Any:
    fields = struct.fields
    if _SIGNATURE in fields and fields[_SIGNATURE].string_value == _SECRET:
        inner = decode_value(fields["value"])
        return inner if isinstance(inner, Secret) else Secret(inner)
    return decode(struct)
