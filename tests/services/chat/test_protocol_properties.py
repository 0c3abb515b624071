"""Throw anything at the serializers: what comes out is a value of ours or the one exception."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from services.chat.errors import ProtocolError
from services.chat.protocol import Broadcast, Frame, Message, Reply, Version, decode, encode

versions = st.sampled_from(Version)
numbers = st.integers(-(1 << 70), 1 << 70) | st.floats(allow_nan=False, allow_infinity=False)
words = st.text(st.characters(codec="utf-8"))
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | numbers | words,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4),
    max_leaves=12,
)
names = st.text(st.characters(codec="utf-8"), min_size=1, max_size=80).filter(lambda name: len(name.encode()) <= 255)
refs = st.none() | names | st.integers(-(1 << 63) + 1, (1 << 63) - 1)
# What JSON can write and Python reads, but nobody can store or send on.
odd = st.sampled_from(
    ["1e999", "-1e999", "NaN", "Infinity", '"\\ud800"', '"a\\udc00b"', "1" * 5000, "[" * 200 + "]" * 200, '"\\u0000"']
)


def check(frame: Frame, version: Version) -> Message | None:
    """Decode, and let no other exception pass; what was decoded can be sent back, or is refused as politely."""
    try:
        message = decode(frame, version)
    except ProtocolError:
        return None
    for value in (message, Reply(message.topic, "ok", message.payload, ref=message.ref, join_ref=message.join_ref)):
        with suppress(ProtocolError):
            assert encode(value, Version.V2)
    return message


@given(frame=st.binary(max_size=400) | words, version=versions)
@example(frame="", version=Version.V2)
@example(frame=b"\x00\xff\xff\xff\xff", version=Version.V2)
def test_any_bytes_are_a_message_or_refused(frame: Frame, version: Version) -> None:
    """Raise ProtocolError and nothing else."""
    check(frame, version)


@given(header=st.binary(min_size=5, max_size=5), rest=st.binary(max_size=1400))
def test_any_binary_header_is_a_message_or_refused(header: bytes, rest: bytes) -> None:
    """Trust no length."""
    check(b"\x00" + header[1:] + rest, Version.V2)


@given(parts=st.lists(values | names | refs, max_size=7), version=versions)
def test_any_array_is_a_message_or_refused(parts: list[Any], version: Version) -> None:
    """Take five parts of the right types."""
    message = check(json.dumps(parts), version)

    assert message is None or version is Version.V2


@given(parts=st.dictionaries(st.sampled_from(["topic", "event", "payload", "ref", "join_ref", "x"]), values))
def test_any_object_is_a_message_or_refused(parts: dict[str, Any]) -> None:
    """Take what has the four names."""
    message = check(json.dumps(parts), Version.V1)

    assert message is None or {"topic", "event", "payload", "ref"} <= parts.keys()


@given(where=st.integers(0, 5), what=odd)
def test_odd_json_is_a_message_or_refused(where: int, what: str) -> None:
    """Put what JSON cannot mean into every place of a frame."""
    parts = ['"11"', '"1"', '"room:a"', '"ping"', "{}", '{"a":[0]}']
    parts[where] = what
    check("[" + ",".join(parts[:4]) + f',{{"p":{parts[4]},"q":{parts[5]}}}]', Version.V2)
    check(f'{{"topic":{parts[2]},"event":{parts[3]},"payload":{parts[4]},"ref":{parts[1]}}}', Version.V1)


@given(topic=names, event=names, payload=values, both=st.tuples(refs, refs), version=versions)
def test_what_is_written_is_read_again(topic: str, event: str, payload: Any, both: Any, version: Version) -> None:
    """Lose nothing on the way, but the join_ref that the first serializer has no word for."""
    ref, join_ref = both
    message = Message(topic, event, payload, ref=ref, join_ref=join_ref)
    kept = message if version is Version.V2 else Message(topic, event, payload, ref=ref)

    assert decode(encode(message, version), version, 100) == kept


@given(topic=names, event=names, payload=st.binary(max_size=300), ref=names, join_ref=names)
def test_a_binary_push_is_read_as_it_was_written(
    topic: str, event: str, payload: bytes, ref: str, join_ref: str
) -> None:
    """Find each part by its length, whatever bytes are in it."""
    parts = [part.encode() for part in (join_ref, ref, topic, event)]
    frame = bytes([0, *map(len, parts)]) + b"".join(parts) + payload

    assert decode(frame, Version.V2) == Message(topic, event, payload, ref=ref, join_ref=join_ref)


@given(topic=names, event=names, payload=values, ref=refs, join_ref=refs)
def test_a_server_frame_has_its_parts_in_their_places(
    topic: str, event: str, payload: Any, ref: Any, join_ref: Any
) -> None:
    """Write replies and broadcasts as other JSON readers understand them."""
    reply = json.loads(encode(Reply(topic, "ok", payload, ref=ref, join_ref=join_ref), Version.V2))
    told = json.loads(encode(Broadcast(topic, event, payload), Version.V2))
    first = json.loads(encode(Reply(topic, "error", payload, ref=ref, join_ref=join_ref), Version.V1))

    assert reply == [join_ref, ref, topic, "phx_reply", {"status": "ok", "response": payload}]
    assert told == [None, None, topic, event, payload]
    assert first == {
        "topic": topic,
        "event": "phx_reply",
        "payload": {"status": "error", "response": payload},
        "ref": ref,
    }
