"""Play every row of the wire as frames in and frames out, in both serializers, byte for byte and without a socket."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from services.chat.bus import Cut, LocalBus, Told
from services.chat.chat import Chat
from services.chat.errors import Refusal
from services.chat.extensions import Extensions
from services.chat.frames import Outlet
from services.chat.limits import Limits
from services.chat.metrics import ChatMetrics
from services.chat.models import Seat
from services.chat.protocol import Frame, Version, decode
from services.chat.rates import Rates
from services.chat.room import Rooms
from services.chat.session import Session
from services.chat.shared import Shared
from services.tokens import Claims, Verifier

OK = '{"status":"ok","response":{}}'


class Room:
    """Be a chat in which ada may join room:a and room:b, and everything is stored at once."""

    def __init__(self, rooms: Rooms) -> None:
        self._bus = LocalBus(rooms.deliver)
        self._whisper = Chat(cast("Any", SimpleNamespace(add_messages=None)), self._bus, lambda _: None, Limits())

    async def find_seat(self, _identity: str, topic: str) -> Seat:
        """Be Chat.find_seat."""
        if topic not in {"room:a", "room:b"}:
            raise Refusal("unauthorized")
        return Seat(member_id=7, channel_id=1)

    async def replay(self, _seat: Seat, payload: Any) -> tuple[dict[str, object], int]:
        """Be Chat.replay."""
        if isinstance(payload, dict) and "last_message_id" in payload:
            return {"messages": [{"id": 5}], "recovered": True}, 5
        return {}, 0

    async def shout(self, _seat: Seat, topic: str, payload: Any) -> None:
        """Be Chat.shout."""
        self._shout(topic, payload)

    def take_shout(self, _seat: Seat, topic: str, payload: Any, done: Callable[[Exception | None], None]) -> None:
        """Be Chat.take_shout, which calls back in another turn."""
        error: Exception | None = None
        try:
            self._shout(topic, payload)
        except ZeroDivisionError as raised:
            error = raised
        asyncio.get_running_loop().call_soon(done, error)

    def _shout(self, topic: str, payload: Any) -> None:
        if payload == {"message": "crash"}:
            raise ZeroDivisionError
        if payload == {"message": ""}:
            raise Refusal("message must have 1 to 10000 characters")
        self._bus.publish(Told(topic, "shout", {"type": "message", "data": {"id": 6}}, 6))

    async def stamp(self, _seat: Seat, topic: str, _payload: Any) -> None:
        """Be Chat.stamp."""
        self._bus.publish(Told(topic, "shout", {"type": "stamp", "data": {"strength": 1.0}}))

    def whisper(self, seat: Seat, topic: str, payload: Any, but: object = None) -> None:
        """Be Chat.whisper."""
        self._whisper.whisper(seat, topic, payload, but)


class Wire:
    """Be a transport that keeps the frames, without their headers."""

    def __init__(self) -> None:
        self.frames: list[Frame] = []

    def write(self, data: bytes) -> None:
        """Keep every frame of a write, text as text."""
        while data:
            size, start = data[1], 2
            if size == 126:
                (size,), start = struct.unpack("!H", data[2:4]), 4
            body, kind = data[start : start + size], data[0]
            self.frames.append(body.decode() if kind == 0x81 else body)
            data = data[start + size :]

    def is_closing(self) -> bool:
        """Be open."""
        return False

    def get_write_buffer_size(self) -> int:
        """Be fast."""
        return 0


def v2(join_ref: str, ref: str, topic: str, event: str, payload: str) -> str:
    """Write a frame of version 2.0.0 out of JSON parts."""
    return f'[{join_ref},{ref},"{topic}","{event}",{payload}]'


def v1(_join_ref: str, ref: str, topic: str, event: str, payload: str) -> str:
    """Write the same frame of version 1.0.0."""
    return f'{{"topic":"{topic}","event":"{event}","payload":{payload},"ref":{ref}}}'


Row = tuple[str, str, str, str, str]
JOIN: Row = ('"11"', '"1"', "room:a", "phx_join", "{}")
JOINED: Row = ('"11"', '"1"', "room:a", "phx_reply", OK)


def error(reason: str) -> str:
    """Write an error reply's payload."""
    return f'{{"status":"error","response":{{"reason":"{reason}"}}}}'


# What the client sends and what it is sent; a row of None lets the server do something (see play()).
ROWS: dict[str, tuple[list[Row], list[Row]]] = {
    "a join": ([JOIN], [JOINED]),
    "a join with integers as refs": (
        [("11", "1", "room:a", "phx_join", "{}")],
        [("11", "1", "room:a", "phx_reply", OK)],
    ),
    "a join that asks for what it missed": (
        [('"11"', '"1"', "room:a", "phx_join", '{"last_message_id":4}')],
        [
            (
                '"11"',
                '"1"',
                "room:a",
                "phx_reply",
                '{"status":"ok","response":{"messages":[{"id":5}],"recovered":true}}',
            )
        ],
    ),
    "a join that may not be": (
        [('"11"', '"1"', "room:c", "phx_join", "{}"), ('"11"', '"2"', "room:c", "shout", "{}"), JOIN],
        [
            ('"11"', '"1"', "room:c", "phx_reply", error("unauthorized")),
            ("null", '"2"', "room:c", "phx_reply", error("unmatched topic")),
            JOINED,
        ],
    ),
    "a join of what is no room": (
        [('"11"', '"1"', "lobby", "phx_join", "{}")],
        [("null", '"1"', "lobby", "phx_reply", error("unmatched topic"))],
    ),
    "a heartbeat": (
        [("null", '"2"', "phoenix", "heartbeat", "{}")],
        [("null", '"2"', "phoenix", "phx_reply", OK)],
    ),
    "a ping": (
        [JOIN, ('"11"', '"3"', "room:a", "ping", '{"a":[1,2.5,null,"é"]}')],
        [JOINED, ('"11"', '"3"', "room:a", "phx_reply", '{"status":"ok","response":{"a":[1,2.5,null,"é"]}}')],
    ),
    "a shout": (
        [JOIN, ('"11"', '"4"', "room:a", "shout", '{"message":"hi"}')],
        [JOINED, ("null", "null", "room:a", "shout", '{"type":"message","data":{"id":6}}')],
    ),
    "a shout without a join_ref": (
        [JOIN, ("null", '"4"', "room:a", "shout", '{"message":"hi"}')],
        [JOINED, ("null", "null", "room:a", "shout", '{"type":"message","data":{"id":6}}')],
    ),
    "a shout that is refused": (
        [JOIN, ('"11"', '"4"', "room:a", "shout", '{"message":""}')],
        [JOINED, ('"11"', '"4"', "room:a", "phx_reply", error("message must have 1 to 10000 characters"))],
    ),
    "a shout that crashes": (
        [JOIN, ('"11"', '"4"', "room:a", "shout", '{"message":"crash"}'), ('"12"', '"5"', "room:a", "phx_join", "{}")],
        [
            JOINED,
            ('"11"', '"11"', "room:a", "phx_error", "{}"),
            ('"12"', '"5"', "room:a", "phx_reply", OK),
        ],
    ),
    "a stamp": (
        [JOIN, ('"11"', '"5"', "room:a", "stamp", "{}")],
        [JOINED, ("null", "null", "room:a", "shout", '{"type":"stamp","data":{"strength":1.0}}')],
    ),
    "a whisper": ([JOIN, ('"11"', '"5"', "room:a", "whisper", '{"typing":true}')], [JOINED]),
    "a whisper of who hears its own": (
        [
            ('"11"', '"1"', "room:a", "phx_join", '{"self":true}'),
            ('"11"', '"5"', "room:a", "whisper", '{"typing":true}'),
        ],
        [JOINED, ("null", "null", "room:a", "whisper", '{"member_id":7,"data":{"typing":true}}')],
    ),
    "a leave": (
        [JOIN, ('"11"', '"6"', "room:a", "phx_leave", "{}"), ('"11"', '"7"', "room:a", "shout", "{}")],
        [
            JOINED,
            ('"11"', '"6"', "room:a", "phx_reply", OK),
            ('"11"', '"11"', "room:a", "phx_close", "{}"),
            ("null", '"7"', "room:a", "phx_reply", error("unmatched topic")),
        ],
    ),
    "a leave of what was not joined": (
        [("null", '"6"', "room:a", "phx_leave", "{}")],
        [("null", '"6"', "room:a", "phx_reply", OK)],
    ),
    "an event of what was not joined": (
        [("null", '"6"', "room:a", "ping", "{}")],
        [("null", '"6"', "room:a", "phx_reply", error("unmatched topic"))],
    ),
    "an event that nobody knows": (
        [JOIN, ('"11"', '"6"', "room:a", "dance", "{}")],
        [JOINED, ('"11"', '"6"', "room:a", "phx_reply", error("unknown event"))],
    ),
    "a second join": (
        [JOIN, ('"12"', '"2"', "room:a", "phx_join", "{}"), ('"12"', '"3"', "room:a", "shout", '{"message":"hi"}')],
        [
            JOINED,
            ('"11"', '"11"', "room:a", "phx_close", "{}"),
            ('"12"', '"2"', "room:a", "phx_reply", OK),
            ("null", "null", "room:a", "shout", '{"type":"message","data":{"id":6}}'),
        ],
    ),
    "two topics": (
        [JOIN, ('"12"', '"2"', "room:b", "phx_join", "{}"), ('"12"', '"3"', "room:b", "stamp", "{}")],
        [
            JOINED,
            ('"12"', '"2"', "room:b", "phx_reply", OK),
            ("null", "null", "room:b", "shout", '{"type":"stamp","data":{"strength":1.0}}'),
        ],
    ),
}
# A client of version 1.0.0 sends no join_ref, so these are no rows of it.
ONLY_V2: dict[str, tuple[list[Row], list[Row]]] = {
    "a stale join_ref": (
        [
            JOIN,
            ('"12"', '"2"', "room:a", "phx_join", "{}"),
            ('"11"', '"3"', "room:a", "shout", '{"message":"hi"}'),
            ('"11"', '"4"', "room:a", "phx_leave", "{}"),
            ('"12"', '"5"', "room:a", "ping", "{}"),
        ],
        [
            JOINED,
            ('"11"', '"11"', "room:a", "phx_close", "{}"),
            ('"12"', '"2"', "room:a", "phx_reply", OK),
            ('"12"', '"5"', "room:a", "phx_reply", OK),
        ],
    ),
}


class Client:
    """Be one client of a session, which sends frames and keeps what it is sent.

    Args:
        version: the serializer.
    """

    def __init__(self, version: Version) -> None:
        self.wire, self.version = Wire(), version
        self.rooms = Rooms(lambda _: None)
        limits = Limits()
        shared = Shared(
            verifier=Verifier({}),
            chat=cast("Chat", Room(self.rooms)),
            rooms=self.rooms,
            limits=limits,
            rates=Rates(limits),
            metrics=ChatMetrics(CollectorRegistry()),
            extensions=Extensions(),
        )
        self.session = Session(
            shared=shared,
            claims=Claims(1, "ada", "Ada", None, None, auth_time=0, iat=0, exp=0),
            version=version,
            outlet=Outlet(cast("asyncio.Transport", self.wire), most=1000, on_drop=lambda: None),
        )

    async def play(self, *frames: Frame) -> list[Frame]:
        """Send frames, one after the other, and return all that came."""
        for frame in frames:
            self.session.receive(decode(frame, self.version))
            await self.session.settle()
            for _ in range(5):
                await asyncio.sleep(0)
        return self.wire.frames


@pytest.mark.parametrize("row", [*ROWS, *ONLY_V2])
async def test_a_row_of_version_2(row: str) -> None:
    """Speak arrays."""
    sent, told = {**ROWS, **ONLY_V2}[row]

    assert await Client(Version.V2).play(*(v2(*frame) for frame in sent)) == [v2(*frame) for frame in told]


@pytest.mark.parametrize("row", ROWS)
async def test_a_row_of_version_1(row: str) -> None:
    """Speak objects; the ref of a join stands for its join_ref."""
    sent, told = ROWS[row]
    # phx_close and phx_error carry the join_ref, which is the ref of the join here.
    joins = {frame[0]: frame[1] for frame in sent if frame[3] == "phx_join"}
    told = [
        (frame[0], joins[frame[1]], *frame[2:]) if frame[3] in {"phx_close", "phx_error"} else frame for frame in told
    ]

    assert await Client(Version.V1).play(*(v1(*frame) for frame in sent)) == [v1(*frame) for frame in told]


def binary(kind: int, *parts: str, payload: bytes) -> bytes:
    """Write a binary frame."""
    return bytes([kind, *(len(part.encode()) for part in parts)]) + "".join(parts).encode() + payload


BINARY: dict[str, tuple[bytes, list[Frame]]] = {
    "a ping": (
        binary(0, "11", "3", "room:a", "ping", payload=b"\x00\xff"),
        [binary(1, "11", "3", "room:a", "ok", payload=b"\x00\xff")],
    ),
    "an empty ping without refs": (
        binary(0, "", "", "room:a", "ping", payload=b""),
        [binary(1, "11", "", "room:a", "ok", payload=b"")],
    ),
    "a whisper": (binary(0, "11", "4", "room:a", "whisper", payload=b'{"typing":true}'), []),
    "what is no whisper": (
        binary(0, "11", "4", "room:a", "whisper", payload=b"\xff"),
        [v2('"11"', '"4"', "room:a", "phx_reply", error("the payload must be an object"))],
    ),
    "a stale ping": (binary(0, "10", "3", "room:a", "ping", payload=b"x"), []),
    "a heartbeat": (
        binary(0, "", "9", "phoenix", "heartbeat", payload=b""),
        [v2("null", '"9"', "phoenix", "phx_reply", OK)],
    ),
    "a leave": (
        binary(0, "11", "6", "room:a", "phx_leave", payload=b""),
        [v2('"11"', '"6"', "room:a", "phx_reply", OK), v2('"11"', '"11"', "room:a", "phx_close", "{}")],
    ),
    "a second join": (
        binary(0, "12", "6", "room:a", "phx_join", payload=b"{}"),
        [v2('"11"', '"11"', "room:a", "phx_close", "{}"), v2('"12"', '"6"', "room:a", "phx_reply", OK)],
    ),
}


@pytest.mark.parametrize("row", BINARY)
async def test_a_binary_row(row: str) -> None:
    """Take binary pushes, and answer in kind what carries bytes."""
    sent, told = BINARY[row]

    assert await Client(Version.V2).play(v2(*JOIN), sent) == [v2(*JOINED), *told]


@pytest.mark.parametrize("version", Version)
async def test_a_binary_broadcast_is_sent_as_one(version: Version) -> None:
    """Write bytes as Phoenix does; the first serializer has no way to."""
    if version is Version.V1:
        with pytest.raises(Exception, match=r"2\.0\.0"):
            decode(b"\x00", version)
        return
    client = Client(version)
    await client.play(v2(*JOIN))
    client.session.outlet.write(b"\x82\x03abc")

    assert client.wire.frames == [v2(*JOINED), b"abc"]


@pytest.mark.parametrize("version", Version)
async def test_a_removed_member_is_closed(version: Version) -> None:
    """Send phx_close with the join's ref, and refuse what comes after it."""
    client, write = Client(version), v2 if version is Version.V2 else v1
    join: Row = ('"1"', '"1"', "room:a", "phx_join", "{}")
    await client.play(write(*join))
    client.rooms.deliver(Cut("room:a", "ada"))

    assert await client.play(write('"1"', '"2"', "room:a", "whisper", "{}")) == [
        write('"1"', '"1"', "room:a", "phx_reply", OK),
        write('"1"', '"1"', "room:a", "phx_close", "{}"),
        write("null", '"2"', "room:a", "phx_reply", error("unmatched topic")),
    ]
