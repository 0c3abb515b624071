"""Hold the rooms' pace against a client that does not read."""

from __future__ import annotations

import asyncio
import socket

import pytest

from services.chat.limits import Limits
from tests.services.chat import raw
from tests.services.chat.conftest import ChatService, Person

# Of ten sockets one each.
DEAD = 4
# Messages that are said at once: less than a buffer holds.
ROUND = 5


@pytest.fixture
def limits() -> Limits:
    """Make a buffer that is full soon."""
    return Limits(buffer_bytes=64 * 1024)


async def read_nothing(ada: Person, topic: str) -> asyncio.StreamWriter:
    """Join a room over a bare connection and never read again."""
    host, port = ada.base.removeprefix("http://").split(":")
    connection = socket.socket()
    # The kernel's own buffers would take megabytes before ours is asked.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    reader, writer = await asyncio.open_connection(sock=connection, limit=1024)
    handshake = (
        f"GET /socket/websocket?token={ada.token}&vsn=2.0.0 HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n"
        "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
    )
    writer.write(handshake.encode())
    await reader.readuntil(b"\r\n\r\n")
    join = f'["11","1","{topic}","phx_join",{{}}]'.encode()
    # A masked text frame; a mask of zeros leaves the payload as it is.
    writer.write(bytes([0x81, 0x80 | len(join), 0, 0, 0, 0]) + join)
    await reader.readuntil(b"phx_reply")
    return writer


async def test_a_reader_that_is_too_slow_is_dropped_and_holds_up_nobody(chat: ChatService) -> None:
    """Go on telling the others at full pace, and cut the one whose buffer is full."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    await bob.post("/channels/join", {"topic": room["topic"]})
    topic = f"room:{room['topic']}"
    slow = await read_nothing(ada, topic)
    his = await bob.enter(room)

    heard = 0
    try:
        async with asyncio.timeout(60):
            while await dropped(chat, ada) == 0:
                await his.push(topic, "shout", {"message": "x" * 10_000})
                frame = await his.receive()
                heard += frame[3] == "shout"
    finally:
        slow.transport.abort()
        await asyncio.sleep(0)

    assert heard > 0
    assert not his.socket.closed


async def test_one_dead_reader_in_ten_costs_the_others_nothing(chat: ChatService) -> None:
    """Drop and count the dead ones, and bring everybody else every message, in order."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    dead = [await read_nothing(ada, topic) for _ in range(DEAD)]
    healthy = [await raw.connect(chat.public, ada.token) for _ in range(9 * DEAD)]
    for each in healthy:
        await each.send(f'["11","1","{topic}","phx_join",{{}}]'.encode())
        await each.answer()
    hers = await ada.enter(room)

    said = 0
    try:
        async with asyncio.timeout(60):
            while await dropped(chat, ada) < DEAD:
                for _ in range(ROUND):
                    await hers.push(topic, "shout", {"message": f"{said} {'x' * 9_000}"})
                    said += 1
                for _ in range(ROUND):
                    await hers.heard(topic)
                # Whoever reads has read before more is said: only the dead fall behind.
                heard = [[(await each.answer())[4]["data"]["body"] for _ in range(ROUND)] for each in healthy]
                bodies = [f"{number} {'x' * 9_000}" for number in range(said - ROUND, said)]
                assert heard == [bodies] * len(healthy)
    finally:
        for writer in dead:
            writer.transport.abort()
        while raw.opened:
            raw.opened.pop().abort()
        await asyncio.sleep(0)

    assert await dropped(chat, ada) == DEAD


async def dropped(chat: ChatService, person: Person) -> int:
    """Return how many sockets were dropped, as the metrics tell it."""
    async with person.client.get(f"{chat.internal}/metrics") as response:
        lines = (await response.text()).splitlines()
    return int(float(next(line for line in lines if line.startswith("stampchat_sockets_dropped_total")).split()[1]))
