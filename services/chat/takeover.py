"""Make a connection a socket of ours once aiohttp has read the handshake; it knows nothing of what follows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from aiohttp import hdrs, web
from aiohttp.web_protocol import RequestHandler

from services.chat.handshake import make_answer
from services.chat.line import Line
from services.errors import Malformed
from services.handover import hand_over


class HandedOver(web.StreamResponse):
    """Answer aiohttp, which has nothing more to do: the client has its 101 already."""

    def __init__(self) -> None:
        super().__init__(status=101)

    @property
    def prepared(self) -> bool:
        """Say that the head was sent."""
        return True

    async def prepare(self, request: web.BaseRequest) -> None:
        """Send nothing."""

    async def write_eof(self, data: bytes = b"") -> None:
        """Send nothing."""


def take_over(
    request: web.Request, subprotocols: tuple[str, ...], make_line: Callable[[asyncio.Transport], Line]
) -> web.StreamResponse:
    """Answer a handshake that aiohttp has made a request of, and take its connection.

    Raises:
        Malformed: it is no handshake of RFC 6455, section 4.2.1.
    """
    ready = web.WebSocketResponse(protocols=subprotocols, compress=False).can_prepare(request)
    if not ready.ok:
        raise Malformed("This is not a websocket handshake.", code="bad_handshake")
    transport = request.transport
    if transport is not None:
        key = request.headers[hdrs.SEC_WEBSOCKET_KEY]
        begin(request.protocol, transport, make_line(transport), make_answer(key, ready.protocol))
    return HandedOver()


def begin(handler: RequestHandler, transport: asyncio.Transport, line: Line, answer: bytes) -> None:
    """Take a connection, answer its handshake, and read on where aiohttp has stopped.

    Args:
        handler: aiohttp's.
        transport: the connection.
        line: the socket.
        answer: the head that agrees to it.
    """
    tail = hand_over(handler, transport, line)
    transport.write(answer)
    line.connection_made(transport)
    if tail:
        line.data_received(tail)
