"""Hold a socket of our own to its manners, and aiohttp to what the take-over leans on."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator

import pytest
from aiohttp import WSCloseCode, web

from services.chat import line as line_module
from services.chat.frames import pack
from services.chat.line import Line
from tests.services.chat.echo import HEAD, Echo, connect, echoing
from tests.services.chat.raw import CLOSE, FIN, PING, TEXT, frame


@pytest.fixture
def echo() -> Echo:
    """Make the keeper."""
    return Echo()


@pytest.fixture
async def runner(echo: Echo) -> AsyncIterator[web.AppRunner]:
    """Serve lines on a free port."""
    async with echoing(echo) as running:
        yield running


async def test_what_comes_in_one_segment_with_the_request_is_heard(runner: web.AppRunner) -> None:
    """Lose no byte between aiohttp's parser and ours, a half frame neither."""
    whole = frame(b"hello")
    raw = await connect(runner, behind=frame(b"hi") + whole[:4])
    await raw.send_bytes(whole[4:])

    assert [await raw.receive(), await raw.receive()] == [(TEXT, b"hi"), (TEXT, b"hello")]


async def test_what_the_keeper_does_not_understand_ends_the_line(runner: web.AppRunner, echo: Echo) -> None:
    """Say 1007, take the client's answer, and let go of the connection."""
    raw = await connect(runner)
    await raw.send(b"bad")

    assert await raw.closed() == 1007
    await raw.send(struct.pack("!H", 1007), first=FIN | CLOSE)
    await asyncio.wait_for(echo.gone.wait(), 60)
    assert echo.lines == []
    assert echo.reasons == ["not ours"]


async def test_who_breaks_the_protocol_is_told_the_end_at_once(
    runner: web.AppRunner, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End our half of the connection behind the close, so that nobody waits for an answer that nobody can read."""
    monkeypatch.setattr(line_module, "CLOSE_SECONDS", 3600)
    raw = await connect(runner)
    await raw.send(b"x", first=FIN | 3)

    assert await raw.closed() == 1002
    async with asyncio.timeout(60):
        assert await raw.reader.read() == b""
    await raw.send(b"late")
    raw.writer.close()
    await asyncio.wait_for(echo.gone.wait(), 60)
    assert echo.heard == []


async def test_who_breaks_the_protocol_and_stays_is_not_waited_for(
    runner: web.AppRunner, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End the other half, too, after a moment."""
    monkeypatch.setattr(line_module, "CLOSE_SECONDS", 0.05)
    raw = await connect(runner)
    await raw.send(b"x", first=FIN | 3)

    await asyncio.wait_for(echo.gone.wait(), 60)
    assert await raw.closed() == 1002


async def test_nothing_follows_our_close(runner: web.AppRunner, echo: Echo) -> None:
    """Send neither broadcasts nor pongs behind it, and hear nothing but the client's close."""
    raw = await connect(runner)
    await raw.send(b"hi")
    await raw.receive()
    line = echo.lines[0]
    line.end(WSCloseCode.SERVICE_RESTART, "r" * 200)
    line.end(WSCloseCode.GOING_AWAY, "twice")
    echo.outlets[line].write(pack("late"))
    await raw.send(b"late too")
    await raw.send(b"late ping", first=FIN | PING)
    await raw.send(struct.pack("!H", 1012), first=FIN | CLOSE)

    assert await raw.receive() == (CLOSE, struct.pack("!H", 1012) + b"r" * 123)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await raw.receive()
    assert echo.heard == ["hi"]
    assert echo.reasons == ["r" * 200]


async def test_a_peer_that_does_not_answer_our_close_is_not_waited_for(
    runner: web.AppRunner, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """End the connection after a moment, and tell who waits for that."""
    monkeypatch.setattr(line_module, "CLOSE_SECONDS", 0.05)
    raw = await connect(runner)
    line = echo.lines[0]
    line.end(WSCloseCode.GOING_AWAY, "idle")

    await asyncio.wait_for(line.ended(), 60)
    await asyncio.wait_for(line.ended(), 60)
    assert await raw.closed() == 1001


async def test_a_client_over_its_rate_has_to_wait(
    runner: web.AppRunner, echo: Echo, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Read nothing of it for a moment, though more is there already; lose nothing of that."""
    releases: list[Line] = []
    release = Line._release

    def watched(line: Line) -> None:
        releases.append(line)
        release(line)

    monkeypatch.setattr(Line, "_release", watched)
    raw = await connect(runner)
    await raw.send_bytes(frame(b"slow") + frame(b"1") + frame(b"2"))

    assert [(await raw.receive())[1] for _ in range(3)] == [b"slow", b"1", b"2"]
    assert releases == [echo.lines[0]]


async def test_more_than_the_queue_holds_is_read_in_the_end(runner: web.AppRunner) -> None:
    """Stop and go on with a client that sends faster than it may."""
    raw = await connect(runner)
    await raw.send_bytes(frame(b"slow") + frame(b"x" * 100) * 200)

    assert [(await raw.receive())[1] for _ in range(201)] == [b"slow", *[b"x" * 100] * 200]


async def test_a_socket_costs_no_task_and_aiohttp_forgets_it(runner: web.AppRunner, echo: Echo) -> None:
    """Keep no handler, and live on through the end of aiohttp's server."""
    before = len(asyncio.all_tasks())
    raws = [await connect(runner) for _ in range(5)]
    for raw in raws:
        await raw.send(b"hi")
        assert await raw.receive() == (TEXT, b"hi")

    assert runner.server is not None
    assert runner.server.connections == []
    assert len(asyncio.all_tasks()) == before
    await asyncio.wait_for(runner.cleanup(), 60)
    await raws[0].send(b"still here")
    assert await raws[0].receive() == (TEXT, b"still here")
    assert len(echo.lines) == 5


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 12"),
        ("dGhlIHNhbXBsZSBub25jZQ==", "c2hvcnQ="),
        ("dGhlIHNhbXBsZSBub25jZQ==", "not base64!"),
        ("Connection: Upgrade", "Connection: keep-alive"),
    ],
)
async def test_a_bad_handshake_leaves_the_connection_to_aiohttp(
    runner: web.AppRunner, echo: Echo, old: str, new: str
) -> None:
    """Answer 400 in HTTP, and keep no line."""
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    writer.write(f"{HEAD.replace(old, new)}\r\n".encode())

    assert (await reader.readuntil(b"\r\n")).startswith(b"HTTP/1.1 400 ")
    assert echo.lines == []
    writer.close()
    await writer.wait_closed()
