"""Take a connection away from aiohttp once it has read the handshake; it knows nothing of what follows.

What this leans on beyond aiohttp's documentation is in take_over(), and held by tests.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

from aiohttp import hdrs, web
from aiohttp.http_websocket import WebSocketReader

from services.chat.handshake import make_answer
from services.chat.line import Line
from services.errors import Malformed


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


class _Tail:
    """Be a parser to aiohttp, and keep the bytes that came behind the request's head."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        pass


def take_over(
    request: web.Request, subprotocols: tuple[str, ...], make_line: Callable[[asyncio.Transport], Line]
) -> web.StreamResponse:
    """Answer a handshake, and take the connection away from aiohttp.

    Raises:
        Malformed: it is no handshake of RFC 6455, section 4.2.1.
    """
    ready = web.WebSocketResponse(protocols=subprotocols, compress=False).can_prepare(request)
    if not ready.ok:
        raise Malformed("This is not a websocket handshake.", code="bad_handshake")
    handler, transport = request.protocol, request.transport
    if transport is None:
        return HandedOver()
    line, tail = make_line(transport), _Tail()
    # Where a parser is set, the handler gives it what came in one segment with the head.
    handler.set_parser(cast("WebSocketReader", tail))
    transport.set_protocol(line)
    # For aiohttp the connection ends here: it must neither close it, nor wait for it at a shutdown, nor keep its
    # parser, its task and its time-outs. Without a transport its loop has nothing to close.
    handler.keep_alive(False)
    handler.transport = None
    handler.connection_lost(None)
    transport.write(make_answer(request.headers[hdrs.SEC_WEBSOCKET_KEY], ready.protocol))
    line.connection_made(transport)
    if tail.data:
        line.data_received(tail.data)
    return HandedOver()
