"""Hold a socket of our own to RFC 6455, and aiohttp to what the take-over leans on."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import cast

import pytest
from aiohttp import WSCloseCode, web

from services.chat import line as line_module
from services.chat.errors import ProtocolError
from services.chat.frames import Outlet, pack
from services.chat.line import Line, take_over
from services.chat.parsing import Parsers
from services.chat.session import Session
from services.errors import Malformed
from tests.services.chat.raw import BINARY, CLOSE, FIN, PING, PONG, TEXT, Raw, opened

MOST = 1000
HEAD = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)
CONTINUATION = 0


@dataclass
class Echo:
    """Keep lines, and send back what they bring."""

    lines: list[Line] = field(default_factory=list)
    outlets: dict[Line, Outlet] = field(default_factory=dict)
    heard: list[str | bytes] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    parsers: Parsers = field(default_factory=lambda: Parsers(MOST))

    def receive(self, line: Line, data: str | bytes) -> bool:
        """Say it back; "slow" breaks a rate and "bad" is no message."""
        self.heard.append(data)
        if data == "bad":
            raise ProtocolError("not ours")
        self.outlets[line].write(pack(data))
        return data != "slow"

    def closing(self, reason: str) -> None:
        """Keep the reason."""
        self.reasons.append(reason)

    def ended(self, line: Line) -> None:
        """Forget it."""
        self.lines.remove(line)
        self.gone.set()

    def make_line(self, transport: asyncio.Transport) -> Line:
        """Make one."""
        outlet = Outlet(transport, most=1 << 20, on_drop=lambda: None)
        line = Line(self, cast("Session", None), outlet, "here", self.parsers)
        self.lines.append(line)
        self.outlets[line] = outlet
        return line


@pytest.fixture
def echo() -> Echo:
    """Make the keeper."""
    return Echo()


@pytest.fixture
async def runner(echo: Echo) -> AsyncIterator[web.AppRunner]:
    """Serve lines on a free port."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return take_over(request, (), echo.make_line)
        except Malformed:
            return web.Response(status=400)

    app = web.Application()
    app.router.add_get("/", handle)
    running = web.AppRunner(app, shutdown_timeout=30)
    await running.setup()
    await web.TCPSite(running, "127.0.0.1", 0).start()
    yield running
    for raw in opened:
        raw.abort()
    opened.clear()
    for line in tuple(echo.lines):
        line.cut()
    await running.cleanup()
    await asyncio.sleep(0)


async def connect(runner: web.AppRunner, *, behind: bytes = b"") -> Raw:
    """Open a socket, with bytes in the very segment of the request."""
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    writer.write(f"{HEAD}\r\n".encode() + behind)
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    # The answer of RFC 6455, section 1.3, to the key of its example.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    raw = Raw(reader, writer)
    opened.append(raw)
    return raw


def frame(payload: bytes, first: int = FIN | TEXT) -> bytes:
    """Make a client's frame with a mask of zeros."""
    return bytes([first, 0x80 | len(payload), 0, 0, 0, 0]) + payload


async def test_what_comes_in_one_segment_with_the_request_is_heard(runner: web.AppRunner) -> None:
    """Lose no byte between aiohttp's parser and ours, a half frame neither."""
    whole = frame(b"hello")
    raw = await connect(runner, behind=frame(b"hi") + whole[:4])
    await raw.send_bytes(whole[4:])

    assert [await raw.receive(), await raw.receive()] == [(TEXT, b"hi"), (TEXT, b"hello")]


async def test_pings_are_answered_between_fragments(runner: web.AppRunner) -> None:
    """Put fragments together, whatever control frames come between them."""
    raw = await connect(runner)
    await raw.send("é".encode()[:1], first=TEXT)
    await raw.send(b"are you there", first=FIN | PING)
    await raw.send(b"unasked for", first=FIN | PONG)
    await raw.send("é".encode()[1:], first=FIN | CONTINUATION)

    assert await raw.receive() == (PONG, b"are you there")
    assert await raw.receive() == (TEXT, "é".encode())


async def test_a_binary_message_is_handed_on_as_bytes(runner: web.AppRunner, echo: Echo) -> None:
    """Tell the two kinds apart."""
    raw = await connect(runner)
    await raw.send(b"\xff", first=FIN | BINARY)

    assert await raw.receive() == (BINARY, b"\xff")
    assert echo.heard == [b"\xff"]


@pytest.mark.parametrize(
    ("sent", "code"),
    [
        pytest.param(
            frame(struct.pack("!H", 1000) + b"bye", FIN | CLOSE), 1000, id="a close is answered with its code"
        ),
        pytest.param(frame(struct.pack("!H", 4000), FIN | CLOSE), 4000, id="an application's code too"),
        pytest.param(frame(b"", FIN | CLOSE), 1000, id="a close without a code"),
        pytest.param(frame(b"\x03", FIN | CLOSE), 1002, id="half a code"),
        pytest.param(frame(struct.pack("!H", 1005), FIN | CLOSE), 1002, id="a code that nobody may send"),
        pytest.param(frame(struct.pack("!H", 1000) + b"\xff", FIN | CLOSE), 1007, id="a reason that is not UTF-8"),
        pytest.param(frame(b"\xff"), 1007, id="text that is not UTF-8"),
        pytest.param(frame(b"\xed\xa0\x80"), 1007, id="a lone surrogate"),
        pytest.param(frame(b"x", FIN | 0x40 | TEXT), 1002, id="a reserved bit"),
        pytest.param(frame(b"x", FIN | 3), 1002, id="a reserved kind of frame"),
        pytest.param(frame(b"x", FIN | CONTINUATION), 1002, id="a continuation of nothing"),
        pytest.param(frame(b"x", TEXT) + frame(b"y"), 1002, id="a message within another"),
        pytest.param(frame(b"", PING), 1002, id="a control frame in fragments"),
        pytest.param(bytes([FIN | PING, 0x80 | 126, 0, 126]) + bytes(4 + 126), 1002, id="a control frame too long"),
        pytest.param(bytes([FIN | TEXT, 0x80 | 126, 4, 0]) + bytes(4 + 1024), 1009, id="a message too large"),
        pytest.param(bytes([FIN | TEXT, 0x80 | 127]) + b"\xff" * 8, 1009, id="a length beyond everything"),
        pytest.param(frame(b"bad"), 1007, id="what the keeper does not understand"),
    ],
)
async def test_a_close_says_why(runner: web.AppRunner, echo: Echo, sent: bytes, code: int) -> None:
    """Close by RFC 6455, sections 5 and 7.4, and let go of the connection."""
    raw = await connect(runner)
    await raw.send_bytes(sent)

    assert await raw.closed() == code
    await raw.send(struct.pack("!H", code), first=FIN | CLOSE)
    await asyncio.wait_for(echo.gone.wait(), 60)
    assert echo.lines == []


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
