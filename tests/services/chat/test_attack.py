"""Attack one socket in every way: it alone pays, nothing is logged as ours, and nothing stays behind."""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import AsyncIterator

import aiohttp
import pytest

from services.chat.limits import Limits
from tests.services.chat import raw
from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.phoenix import Phoenix
from tests.services.chat.raw import BINARY, COMPRESSED, FIN, PING, PONG, TEXT, Raw

HEARTBEAT = b'[null,"1","phoenix","heartbeat",{}]'
BEAT = [None, "1", "phoenix", "phx_reply", {"status": "ok", "response": {}}]


@pytest.fixture
def limits(still_rates: None) -> Limits:  # noqa: ARG001  # it only has to be there
    """Make limits that a test reaches quickly."""
    return Limits(
        frame_bytes=2048,
        payload_depth=4,
        joins_per_second=1,
        joins_burst=5,
        user_events_per_second=1,
        user_events_burst=60,
        user_joins_per_second=1,
        user_joins_burst=8,
        sockets_per_address=8,
    )


@pytest.fixture(autouse=True)
async def abandoned(chat: ChatService) -> AsyncIterator[None]:  # noqa: ARG001  # ends before it, which else waits for them
    """Abort what a test has opened, failed or not."""
    yield
    while raw.opened:
        raw.opened.pop().abort()
    await asyncio.sleep(0)


@pytest.fixture(autouse=True)
async def nothing_is_our_fault(chat: ChatService, caplog: pytest.LogCaptureFixture) -> AsyncIterator[None]:
    """Hold every test to this: no error in the log, no 500, and no socket left over."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelname in {"ERROR", "CRITICAL"}] == []
    async with aiohttp.ClientSession() as client, client.get(f"{chat.internal}/metrics") as response:
        lines = (await response.text()).splitlines()
    assert not [line for line in lines if line.startswith("stampchat_http_requests_total") and 'status="500"' in line]


async def bystander(chat: ChatService) -> tuple[Person, Phoenix, str]:
    """Return somebody whose socket must live, and their room."""
    bob = await chat.meet("Bob")
    room = await bob.make_room()
    return bob, await bob.enter(room), f"room:{room['topic']}"


async def metric(chat: ChatService, person: Person, name: str) -> float:
    """Return one of the process's figures."""
    async with person.client.get(f"{chat.internal}/metrics") as response:
        lines = (await response.text()).splitlines()
    return float(next(line for line in lines if line.startswith(name + " ")).split()[1])


GARBAGE: list[tuple[str, bytes, int, int]] = [
    ("no JSON", b"hello", FIN | TEXT, 1007),
    ("no UTF-8", b'["1","1","room:a","ping","\xff"]', FIN | TEXT, 1007),
    ("a lone surrogate", b'["1","1","room:a","ping",{"a":"\\ud800"}]', FIN | TEXT, 1007),
    ("an infinite number", b'["1","1","room:a","ping",{"a":1e999}]', FIN | TEXT, 1007),
    ("NaN", b'["1","1","room:a","ping",{"a":NaN}]', FIN | TEXT, 1007),
    ("too deep", b'["1","1","room:a","ping",[[[[[0]]]]]]', FIN | TEXT, 1007),
    ("no topic", b'["1","1","","ping",{}]', FIN | TEXT, 1007),
    ("a ref that is an object", b'["1",{},"room:a","ping",{}]', FIN | TEXT, 1007),
    ("a long ref", b'["1","' + b"1" * 256 + b'","room:a","ping",{}]', FIN | TEXT, 1007),
    ("a long event", b'["1","1","room:a","' + b"x" * 256 + b'",{}]', FIN | TEXT, 1007),
    ("a cut binary header", b"\x00\xff", FIN | BINARY, 1007),
    ("a broadcast from a client", b"\x02\x06\x04room:aping", FIN | BINARY, 1007),
    ("a frame over the cap", b" " * 3000, FIN | TEXT, 1009),
    ("a compressed frame that nobody agreed on", zlib.compress(HEARTBEAT), FIN | COMPRESSED | TEXT, 1002),
    ("an unknown opcode", b"", FIN | 3, 1002),
]


@pytest.mark.parametrize(("what", "payload", "first", "code"), GARBAGE, ids=[row[0] for row in GARBAGE])
async def test_what_is_no_frame_closes_its_own_socket(
    chat: ChatService, what: str, payload: bytes, first: int, code: int
) -> None:
    """Close with the code that RFC 6455 has for it, and nobody else's."""
    _, his, topic = await bystander(chat)
    eve = await chat.meet("Eve")
    hers = await raw.connect(chat.public, eve.token)

    await hers.send(payload, first=first)

    assert await hers.closed() == code, what
    assert (await his.shout(topic, "hi"))["body"] == "hi"


async def test_an_unmasked_frame_harms_nobody(chat: ChatService) -> None:
    """Answer it or close, as the socket's owner does, and go on."""
    _, his, topic = await bystander(chat)
    eve = await chat.meet("Eve")
    hers = await raw.connect(chat.public, eve.token)

    await hers.send(HEARTBEAT, is_masked=False)
    await hers.receive()

    assert (await his.shout(topic, "hi"))["body"] == "hi"


async def test_a_message_in_fragments_is_one_message(chat: ChatService) -> None:
    """Put it together, with a ping in between, up to the cap for the whole of it."""
    eve = await chat.meet("Eve")
    hers = await raw.connect(chat.public, eve.token)

    await hers.send(HEARTBEAT[:10], first=TEXT)
    await hers.send(b"still here?", first=FIN | PING)
    await hers.send(HEARTBEAT[10:], first=FIN | 0)
    assert await hers.receive() == (PONG, b"still here?")
    assert await hers.answer() == BEAT

    await hers.send(b" " * 1500, first=TEXT)
    await hers.send(b" " * 1500, first=0)
    assert await hers.closed() == 1009


async def test_compression_is_not_agreed_on(chat: ChatService) -> None:
    """Turn the offer down, since a few bytes may unpack to megabytes."""
    eve = await chat.meet("Eve")
    offer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
    hers = await raw.connect(chat.public, eve.token, headers=offer)

    await hers.send(HEARTBEAT)

    assert await hers.answer() == BEAT


# Of these two alone, since any other's bystander would be closed as well when this machine is slow.
IDLE = pytest.mark.parametrize("limits", [Limits(idle_seconds=1)], ids=["1 s"])


@IDLE
async def test_a_half_open_socket_is_closed(chat: ChatService) -> None:
    """Close who never answers, though its connection stands, and forget it."""
    eve = await chat.meet("Eve")
    hers = await raw.connect(chat.public, eve.token)

    assert await hers.closed() == 1001
    # It does not answer the close frame either, and its own half stays open.
    async with asyncio.timeout(60):
        while await metric(chat, eve, "stampchat_sockets") > 0:  # noqa: ASYNC110  # a figure has no event
            await asyncio.sleep(0.1)


@IDLE
async def test_a_half_frame_is_not_waited_for_for_ever(chat: ChatService) -> None:
    """Close who begins a frame and never ends it."""
    eve = await chat.meet("Eve")
    hers = await raw.connect(chat.public, eve.token)

    await hers.send_bytes(b"\x81\xfe\x07\xd0abcd[null")

    assert await hers.closed() == 1001


async def test_who_is_gone_without_a_word_leaves_nothing(chat: ChatService) -> None:
    """Forget a socket that was cut in the middle of its join, many times over."""
    bob, his, topic = await bystander(chat)
    for _ in range(20):
        hers = await raw.connect(chat.public, bob.token)
        await hers.send(f'["1","1","{topic}","phx_join",{{}}]'.encode())
        hers.abort()
        async with asyncio.timeout(60):
            while await metric(chat, bob, "stampchat_sockets") > 1:  # noqa: ASYNC110  # a figure has no event
                await asyncio.sleep(0.01)

    assert (await his.shout(topic, "hi"))["body"] == "hi"


EDGES: list[tuple[str, str, object]] = [
    ("ping", '{"a":1,"a":2}', {"status": "ok", "response": {"a": 2}}),
    ("ping", "1" * 400, {"status": "ok", "response": int("1" * 400)}),
    ("ping", '"\\u0000"', {"status": "ok", "response": "\x00"}),
    ("shout", '{"message":"a","message":""}', "message must have 1 to 10000 characters"),
    ("shout", '{"message":"\\u0000"}', "message must not hold a NUL character"),
    ("stamp", '{"messageId":' + "9" * 400 + "}", "messageId must be a positive integer"),
    ("stamp", '{"messageId":1e308}', "messageId must be a positive integer"),
    ("stamp", '{"messageId":-0}', "messageId must be a positive integer"),
    ("phx_close", "{}", "unknown event"),
    ("phx_error", "{}", "unknown event"),
    ("phx_reply", "{}", "unknown event"),
    ("made up\\u0000", "{}", "unknown event"),
]


@pytest.mark.parametrize(("event", "payload", "answer"), EDGES)
async def test_an_odd_event_is_answered(chat: ChatService, event: str, payload: str, answer: object) -> None:
    """Echo, or refuse and say why; the channel goes on."""
    _, his, topic = await bystander(chat)
    expected = {"status": "error", "response": {"reason": answer}} if isinstance(answer, str) else answer

    await his.socket.send_str(f'["11","9","{topic}","{event}",{payload}]')

    assert await his.receive() == ["11", "9", topic, "phx_reply", expected]
    assert (await his.shout(topic, "hi"))["body"] == "hi"


async def replies(socket: Phoenix, count: int) -> list[str]:
    """Return the reasons of so many replies; "" for what went well."""
    frames = [await socket.receive() for _ in range(count)]
    return [frame[4]["response"].get("reason", "") for frame in frames if frame[3] == "phx_reply"]


async def test_a_flood_of_joins_is_refused(chat: ChatService) -> None:
    """Let so many joins pass on a socket, and so many of a person on all sockets; the others are refused at once."""
    _, his, topic = await bystander(chat)
    eve = await chat.meet("Eve")
    hers, her_other = await eve.open(), await eve.open()
    for socket in (hers, her_other):
        for number in range(10):
            await socket.push(f"room:none_{number}", "phx_join", {}, join_ref=str(number))

    first, second = await replies(hers, 10), await replies(her_other, 10)

    assert first.count("unauthorized") >= 5
    assert "rate limited: at most 1 joins a second" in first
    assert "rate limited: at most 1 joins a second on all sockets of one person" in second
    assert (await his.shout(topic, "hi"))["body"] == "hi"


async def test_a_person_has_a_rate_over_all_sockets(chat: ChatService) -> None:
    """Refuse events of a person whose sockets together send too many, and let others be."""
    _, his, topic = await bystander(chat)
    eve = await chat.meet("Eve")
    sockets = [await eve.open() for _ in range(3)]
    for socket in sockets:
        for _ in range(30):
            await socket.push("phoenix", "heartbeat", {}, join_ref=None)

    reasons = [reason for socket in sockets for reason in await replies(socket, 30)]

    refused = [reason for reason in reasons if reason]
    assert len(refused) >= 15
    assert set(refused) == {"rate limited: at most 1 events a second on all sockets of one person"}
    assert (await his.shout(topic, "hi"))["body"] == "hi"


async def test_an_address_has_so_many_sockets(chat: ChatService) -> None:
    """Answer 429, and count the address that the trusted proxy saw."""
    people = [await chat.meet(f"P{number}") for number in range(10)]
    sockets = [await person.open(headers={"X-Forwarded-For": f"6.6.6.6, 10.0.0.{1}"}) for person in people[:8]]

    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await people[8].open(headers={"X-Forwarded-For": "7.7.7.7, 10.0.0.1"})

    assert error.value.status == 429
    await (await people[9].open(headers={"X-Forwarded-For": "10.0.0.2"})).silent("")
    assert len(sockets) == 8


async def test_the_handshake_survives_anything(chat: ChatService) -> None:
    """Answer every odd request with a 4xx."""
    eve = await chat.meet("Eve")
    path = f"/socket/websocket?token={eve.token}&vsn=2.0.0"
    heads = []
    for odd_path, headers in [
        (f"/socket/websocket?vsn=2.0.0&token={'x' * 4000}", ""),
        ("/socket/websocket?vsn=2.0.0&token=%00%ff", ""),
        ("/socket/websocket?vsn=%ff&token=x", ""),
        (f"{path}&vsn=3", ""),
        (path, "Sec-WebSocket-Protocol: ,,,\r\nOrigin: \r\n"),
        (path, f"Sec-WebSocket-Protocol: {'a' * 4000}\r\n"),
        (path, "Sec-WebSocket-Protocol: phoenix, base64url.bearer.phx.\x80\r\nOrigin: null\r\n"),
    ]:
        _, head = await raw.handshake(chat.public, odd_path, headers=headers)
        heads.append(head.split(b" ")[1])

    assert [head[:1] for head in heads[:3]] == [b"4"] * 3
    assert set(heads) <= {b"101", b"400", b"403"}


async def test_frames_in_any_pieces_are_the_same_frames(chat: ChatService) -> None:
    """Read frames that come a byte at a time, and many that come at once."""
    eve = await chat.meet("Eve")
    hers = await raw.connect(chat.public, eve.token)
    frame = b"\x81" + bytes([0x80 | len(HEARTBEAT)]) + b"\0\0\0\0" + HEARTBEAT

    for byte in frame:
        await hers.send_bytes(bytes([byte]))
    assert await hers.answer() == BEAT
    await hers.send_bytes(frame * 20)
    assert [await hers.answer() for _ in range(20)] == [BEAT] * 20


def test_the_raw_client_masks() -> None:
    """Prove that the client of these tests says what it should."""
    sent: list[bytes] = []

    class Writer:
        def write(self, data: bytes) -> None:
            sent.append(data)

        async def drain(self) -> None:
            pass

    asyncio.run(Raw(None, Writer()).send(json.dumps("é" * 100).encode()))  # type: ignore[arg-type]

    data = sent[0]
    assert data[:2] == b"\x81\xfe"
    assert bytes(byte ^ data[4 + index % 4] for index, byte in enumerate(data[8:])) == json.dumps("é" * 100).encode()
