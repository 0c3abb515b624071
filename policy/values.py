"""Read the engine's property values as plain mappings and lists, and know what only the update will tell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from google.protobuf.struct_pb2 import Struct, Value

# Fixed words of the protocol: sdk/go/common/resource in Pulumi's sources, and the SDK's own list of what is unknown.
_SIGNATURE = "4dabf18193072939515e22adb298388d"
_SECRET = "1b47061264138c4ac30d75fd1eb44270"  # noqa: S105  # the protocol's marker, no secret
_UNKNOWN = object()
_UNKNOWN_WORDS = frozenset(
    {
        "1c4a061d-8072-4f0a-a4cb-0ff528b18fe7",
        "3eeb2bf0-c639-47a8-9e75-3b44932eb421",
        "04da6b54-80e4-46f7-96ec-b56ff0331ba9",
        "6a19a0b0-7e62-4c92-b797-7f8e31da9cc2",
        "030794c1-ac77-496b-92df-f27374a8bd58",
        "e48ece36-62e2-4504-bad9-02848725956a",
        "dd056dcd-154b-4c76-9bd3-c8f88648b5ff",
    }
)


class UnknownValueError(Exception):
    """Say that a rule asked for what only the update will know.

    Args:
        key: of the value.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"{key} is not known before the update")


class Known(Mapping[str, Any]):
    """Hold an object's values; who asks for one that is not known gets an UnknownValueError.

    Args:
        values: by key.
    """

    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values

    def __getitem__(self, key: str) -> Any:
        value = self._values[key]
        if value is _UNKNOWN:
            raise UnknownValueError(key)
        return value

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def read(struct: Struct) -> Known:
    """Return the properties, secrets as what they hide, and a whole number as an int."""
    return Known({key: _read(value) for key, value in struct.fields.items()})


def _read(value: Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "struct_value":
        fields = value.struct_value.fields
        if _SIGNATURE in fields and fields[_SIGNATURE].string_value == _SECRET:
            return _read(fields["value"])
        return read(value.struct_value)
    if kind == "list_value":
        items = [_read(item) for item in value.list_value.values]
        # Whoever looks at a list looks at all of it.
        return _UNKNOWN if any(item is _UNKNOWN for item in items) else items
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() else number
    if kind == "string_value":
        return _UNKNOWN if value.string_value in _UNKNOWN_WORDS else value.string_value
    return value.bool_value if kind == "bool_value" else None
