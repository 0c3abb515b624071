"""Serve sockets that say back what they hear: our own, and those of aiohttp's handler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

from aiohttp import web

from services.chat.errors import ProtocolError
from services.chat.frames import Outlet, pack
from services.chat.line import Line
from services.chat.parsing import Parsers
from services.chat.plain import PlainLine
from services.chat.session import Session
from services.chat.takeover import take_over
from services.errors import Malformed
from tests.services.chat.raw import SECONDS, Raw, opened

MOST = 1000
HEAD = (
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@dataclass
class Echo:
    """Keep lines, and send back what they bring.

    Attributes:
        most: bytes of one message.
        buffer: bytes that may wait for a reader.
    """

    most: int = MOST
    buffer: int = 1 << 20
    lines: list[Line] = field(default_factory=list)
    outlets: dict[Line, Outlet] = field(default_factory=dict)
    heard: list[str | bytes] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self.parsers = Parsers(self.most)

    def receive(self, line: Line, data: str | bytes) -> bool:
        """Say it back; "slow" breaks a rate and "bad" is no message."""
        return self._say_back(self.outlets[line], data)

    def closing(self, reason: str) -> None:
        """Keep the reason."""
        self.reasons.append(reason)

    def ended(self, line: Line) -> None:
        """Forget it."""
        self.lines.remove(line)
        self.gone.set()

    def make_line(self, transport: asyncio.Transport) -> Line:
        """Make one."""
        outlet = self._make_outlet(transport)
        line = Line(self, cast("Session", None), outlet, "here", self.parsers)
        self.lines.append(line)
        self.outlets[line] = outlet
        return line

    async def own(self, request: web.Request) -> web.StreamResponse:
        """Let the socket be ours."""
        try:
            return take_over(request, (), self.make_line)
        except Malformed:
            return web.Response(status=400)

    async def aiohttp(self, request: web.Request) -> web.StreamResponse:
        """Let the socket be aiohttp's."""
        socket = web.WebSocketResponse(max_msg_size=self.most + 1, compress=False)
        await socket.prepare(request)
        assert request.transport is not None
        outlet = self._make_outlet(request.transport)

        def receive(_session: Session, data: Any) -> bool:
            return self._say_back(outlet, data)

        line = PlainLine(
            socket=socket,
            transport=request.transport,
            session=cast("Session", None),
            outlet=outlet,
            receive=receive,
            idle=SECONDS,
        )
        try:
            await line.pump(self.closing)
        finally:
            self.gone.set()
        return socket

    def _make_outlet(self, transport: asyncio.Transport) -> Outlet:
        return Outlet(transport, most=self.buffer, on_drop=lambda: None)

    def _say_back(self, outlet: Outlet, data: str | bytes) -> bool:
        self.heard.append(data)
        if data == "bad":
            raise ProtocolError("not ours")
        outlet.write(pack(data))
        return data != "slow"


@asynccontextmanager
async def echoing(echo: Echo) -> AsyncIterator[web.AppRunner]:
    """Serve on a free port, our own sockets at / and aiohttp's at /aiohttp; abort what a test has left open."""
    app = web.Application()
    app.router.add_get("/", echo.own)
    app.router.add_get("/aiohttp", echo.aiohttp)
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


async def connect(runner: web.AppRunner, path: str = "/", *, behind: bytes = b"") -> Raw:
    """Open a socket, with bytes in the very segment of the request."""
    reader, writer = await asyncio.open_connection(*runner.addresses[0][:2])
    raw = Raw(reader, writer)
    opened.append(raw)
    writer.write(f"{HEAD.replace(' / ', f' {path} ')}\r\n".encode() + behind)
    async with asyncio.timeout(SECONDS):
        head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 101 ")
    # The answer of RFC 6455, section 1.3, to the key of its example.
    assert b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head
    return raw
