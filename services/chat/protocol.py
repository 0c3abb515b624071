"""Translate between frames and values, for the Phoenix serializers 1.0.0 and 2.0.0; no I/O in here."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Literal, TypeAlias

import msgspec

from services.chat.errors import ProtocolError

# Clients number their refs; phoenix.js writes the numbers as strings, others as they are.
Ref: TypeAlias = str | int | None
Frame: TypeAlias = str | bytes

# A name longer than this does not fit a binary frame's one-byte length.
MAX_NAME_BYTES = 255
# Nobody nests a chat payload so deep by accident, and Python's recursion limit must never decide.
MAX_DEPTH = 32

_PUSH, _REPLY, _BROADCAST = 0, 1, 2
_V2_LENGTH = 5


class Version(StrEnum):
    """Name the serializer that a connection speaks."""

    V1 = "1.0.0"
    V2 = "2.0.0"

    # An Enum's own hash is a function in Python; each socket of a fan-out looks up by it.
    __hash__ = str.__hash__


class Message(msgspec.Struct, frozen=True):
    """Carry one event, from a client or to one client.

    Attributes:
        topic: "room:<topic>", or "phoenix".
        event: what happens.
        payload: decoded JSON; bytes where it came, or goes, in a binary frame.
        ref: the sender's number for this message.
        join_ref: the ref of the join that it belongs to.
    """

    topic: str
    event: str
    payload: Any
    ref: Ref = None
    join_ref: Ref = None


class Reply(msgspec.Struct, frozen=True):
    """Answer one message.

    Attributes:
        topic: the message's.
        status: whether it went well.
        response: a JSON object, or bytes for a binary frame.
        ref: the message's.
        join_ref: that of the channel it was sent to.
    """

    topic: str
    status: Literal["ok", "error"]
    response: Any
    ref: Ref = None
    join_ref: Ref = None


class Broadcast(msgspec.Struct, frozen=True):
    """Tell one event to everybody joined to a topic."""

    topic: str
    event: str
    payload: Any


def parse_version(vsn: str) -> Version:
    """Read the vsn parameter; a client that names none speaks 1.0.0.

    Raises:
        ProtocolError: it is a version that we do not speak.
    """
    if not vsn or vsn.startswith("1.0."):
        return Version.V1
    if vsn.startswith("2.0."):
        return Version.V2
    raise ProtocolError("The parameter vsn must be 1.0.0 or 2.0.0.")


def decode(frame: Frame, version: Version, max_depth: int = MAX_DEPTH) -> Message:
    """Read one frame of a client.

    Args:
        frame: text, or bytes for a binary frame.
        version: the serializer of the connection.
        max_depth: of objects and arrays in one another.

    Raises:
        ProtocolError: it is not a frame of that serializer.
    """
    if isinstance(frame, bytes):
        if version is Version.V1:
            raise ProtocolError("Binary frames need vsn 2.0.0.")
        return _decode_binary(frame)
    try:
        data = msgspec.json.decode(frame)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise ProtocolError("A text frame must hold JSON.") from error
    message = _from_array(data) if version is Version.V2 else _from_object(data)
    if _too_deep(message.payload, max_depth):
        raise ProtocolError(f"The payload of a frame must be nested at most {max_depth} deep.")
    return message


def encode(value: Message | Reply | Broadcast, version: Version) -> Frame:
    """Write one frame: text, or bytes when the payload is bytes.

    Args:
        value: what to say.
        version: the serializer of the connection.

    Raises:
        ProtocolError: it holds what JSON, or our reading of it, does not: a number of more than 64 bits.
    """
    match value:
        case Reply(response=bytes()):
            names = (_name(value.join_ref), _name(value.ref), value.topic, value.status)
            return _encode_binary(_REPLY, names, value.response)
        case Message(payload=bytes()):
            return _encode_binary(_PUSH, (_name(value.join_ref), value.topic, value.event), value.payload)
        case Broadcast(payload=bytes()):
            return _encode_binary(_BROADCAST, (value.topic, value.event), value.payload)
        case Reply():
            payload = {"status": value.status, "response": value.response}
            return _encode_text(Message(value.topic, "phx_reply", payload, value.ref, value.join_ref), version)
        case Message():
            return _encode_text(value, version)
        case Broadcast():
            return encode_broadcast(value.topic, value.event, value.payload, version).decode()


def encode_payload(payload: Any) -> msgspec.Raw:
    """Write a payload, to be put into frames of either serializer.

    Raises:
        ProtocolError: it holds what JSON, or our reading of it, does not.
    """
    return msgspec.Raw(_to_bytes(payload))


def encode_broadcast(topic: str, event: str, payload: msgspec.Raw, version: Version) -> bytes:
    """Write what a text frame holds that tells a room something, as encode() writes a Broadcast.

    Args:
        topic: as its listeners know it.
        event: what happens.
        payload: as encode_payload() wrote it.
        version: the serializer of the connection.
    """
    return _to_bytes(_shape(version, topic, event, payload))


def _encode_text(said: Message, version: Version) -> str:
    return _to_bytes(_shape(version, said.topic, said.event, said.payload, (said.join_ref, said.ref))).decode()


def _shape(
    version: Version, topic: str, event: str, payload: Any, refs: tuple[Ref, Ref] = (None, None)
) -> tuple[Any, ...] | dict[str, Any]:
    if version is Version.V2:
        return *refs, topic, event, payload
    # Phoenix's first serializer knows these four names only.
    return {"topic": topic, "event": event, "payload": payload, "ref": refs[1]}


def _to_bytes(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value)
    except OverflowError as error:
        raise ProtocolError("A number is too large.") from error


def _from_array(data: Any) -> Message:
    # Phoenix ignores what follows the five, so that the protocol can grow.
    if not isinstance(data, list) or len(data) < _V2_LENGTH:
        raise ProtocolError("A frame must be the array [join_ref, ref, topic, event, payload].")
    join_ref, ref, topic, event, payload = data[:_V2_LENGTH]
    return _message(join_ref, ref, topic, event, payload)


def _from_object(data: Any) -> Message:
    if not isinstance(data, dict) or not {"topic", "event", "payload", "ref"} <= data.keys():
        raise ProtocolError("A frame must be an object with topic, event, payload and ref.")
    return _message(data.get("join_ref"), data["ref"], data["topic"], data["event"], data["payload"])


def _message(join_ref: Any, ref: Any, topic: Any, event: Any, payload: Any) -> Message:
    if not (_is_short(topic) and topic and _is_short(event) and event):
        wrong = "event" if _is_short(topic) and topic else "topic"
        raise ProtocolError(f"The {wrong} of a frame must be a string of 1 to {MAX_NAME_BYTES} bytes.")
    if not (_is_ref(join_ref) and _is_ref(ref)):
        wrong = "ref" if _is_ref(join_ref) else "join_ref"
        raise ProtocolError(f"The {wrong} of a frame must be a short string, a number or null.")
    return Message(topic, event, payload, ref, join_ref)


def _is_short(value: Any) -> bool:
    # Most are ASCII, and need no encoding to be measured.
    return isinstance(value, str) and (len(value) if value.isascii() else len(value.encode())) <= MAX_NAME_BYTES


def _is_ref(value: Any) -> bool:
    if isinstance(value, str):
        return _is_short(value)
    return value is None or (isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1 << 63)


def _too_deep(value: Any, left: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if left == 0:
        return True
    for item in value.values() if isinstance(value, dict) else value:
        # No call for what holds nothing, which is nearly everything.
        if isinstance(item, dict | list) and _too_deep(item, left - 1):
            return True
    return False


def _decode_binary(frame: bytes) -> Message:
    """Read kind, four one-byte lengths (join_ref, ref, topic, event), the four, and the rest as payload."""
    if len(frame) < _V2_LENGTH or frame[0] != _PUSH:
        raise ProtocolError("A binary frame must be a push.")
    parts, start = [], _V2_LENGTH
    for size in frame[1:_V2_LENGTH]:
        parts.append(frame[start : start + size])
        start += size
    if start > len(frame):
        raise ProtocolError("A binary frame is shorter than its lengths say.")
    try:
        join_ref, ref, topic, event = (part.decode() for part in parts)
    except UnicodeDecodeError as error:
        raise ProtocolError("The names in a binary frame must be UTF-8.") from error
    return _message(join_ref or None, ref or None, topic, event, frame[start:])


def _encode_binary(kind: int, names: Sequence[str], payload: bytes) -> bytes:
    encoded = [name.encode() for name in names]
    return bytes([kind, *map(len, encoded)]) + b"".join(encoded) + payload


def _name(ref: Ref) -> str:
    return "" if ref is None else str(ref)
