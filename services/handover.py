"""Take a connection away from aiohttp once its parser has read a request's head.

What this leans on beyond aiohttp's documentation is here, of the one version that the locks name, and held by tests:
a handler reads requests without being told of its connection, and they wait in `_messages` until its task
(`_task_handler`), which it makes when it is told, begins with them; its server (`_manager`) ends those that it knows;
and a handler without a transport that is told of the connection's end closes nothing.
"""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp.http import RawRequestMessage
from aiohttp.http_websocket import WebSocketReader
from aiohttp.web_protocol import RequestHandler


class _Tail:
    """Be a parser to aiohttp, and keep the bytes that came behind the request's head."""

    def __init__(self) -> None:
        self.data = b""

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        pass


def put_off(handler: RequestHandler, transport: asyncio.Transport) -> None:
    """Let a handler read what a connection brings, and do nothing else yet.

    Its task, its timer and its options of the socket are a twentieth of what a connect costs, and who is handed over
    needs none of them.

    Args:
        handler: aiohttp's, which is told of the connection when there is something for it.
        transport: the connection.
    """
    handler.transport = transport
    if handler._manager is not None:  # noqa: SLF001
        handler._manager.connection_made(handler, transport)  # noqa: SLF001


def first_message(handler: RequestHandler) -> RawRequestMessage | None:
    """Return the request that a connection has just brought, as aiohttp's parser read it, if it is the only one."""
    if len(handler._messages) != 1:  # noqa: SLF001
        return None
    message, _ = handler._messages[0]  # noqa: SLF001
    # Or what aiohttp makes of bytes that are not HTTP.
    return message if isinstance(message, RawRequestMessage) else None


def hand_over(handler: RequestHandler, transport: asyncio.Transport, protocol: asyncio.Protocol) -> bytes:
    """Make a connection somebody else's, whether aiohttp has begun with its request or not.

    Args:
        handler: aiohttp's, which has read a head that asks for another protocol.
        transport: the connection.
        protocol: whose it is from now on; it is told of nothing yet.

    Returns:
        The bytes that came behind the head.
    """
    tail = _Tail()
    # Where a parser is set, the handler gives it what came behind the head.
    handler.set_parser(cast("WebSocketReader", tail))
    transport.set_protocol(protocol)
    if handler._messages and handler._task_handler is not None:  # noqa: SLF001
        # Its task, for a head that came in parts, has not begun with the request, and is not to.
        handler._task_handler.cancel()  # noqa: SLF001
    # For aiohttp the connection ends here: it must neither close it, nor wait for it at a shutdown, nor keep its
    # parser, its task and its time-outs. Without a transport its loop has nothing to close.
    handler.keep_alive(False)
    handler.transport = None
    handler.connection_lost(None)
    return tail.data
