"""Open a socket as soon as aiohttp's parser has read its handshake, where that is one as nearly everybody writes it.

What aiohttp makes of a request after its parser (a task, a request, a route, middlewares, a response) takes longer
than the check of the token, and after a restart everybody connects at once. Any other request, and whoever is refused,
takes that way, so that the answers are the same.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import time

from aiohttp import hdrs, web
from aiohttp.http import HttpVersion11, RawRequestMessage
from aiohttp.web_protocol import RequestHandler

from services.chat.handshake import make_answer, read_handshake
from services.chat.socket import Sockets
from services.chat.takeover import begin
from services.logs import REQUEST_ID_HEADER, adopt_request_id
from services.observe import note_upgrade
from services.rate_limits import address_key
from services.web import FORWARDED_HEADER, HEALTH, METRICS, SERVER, forwarded_address

PATH = "/socket/websocket"
# Sixteen bytes (RFC 6455, section 4.1).
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_ONCE = (hdrs.UPGRADE, hdrs.SEC_WEBSOCKET_VERSION, hdrs.SEC_WEBSOCKET_KEY)
_ONCE_AT_MOST = (hdrs.ORIGIN, hdrs.SEC_WEBSOCKET_PROTOCOL)
# Of a request with a body, or that waits for an answer before it goes on.
_NEVER = (hdrs.CONTENT_LENGTH, hdrs.TRANSFER_ENCODING, hdrs.EXPECT, hdrs.TRAILER, hdrs.TE)


def is_plain(message: RawRequestMessage) -> bool:
    """Say whether a request asks for a socket of ours and leaves no question (RFC 6455, section 4.2.1)."""
    headers = message.headers
    return (
        # aiohttp's word for an Upgrade header that Connection names, too.
        message.upgrade
        and not message.should_close
        and message.method == hdrs.METH_GET
        and message.version == HttpVersion11
        and message.path.partition("?")[0] == PATH
        and all(len(headers.getall(name, ())) == 1 for name in _ONCE)
        and all(len(headers.getall(name, ())) <= 1 for name in _ONCE_AT_MOST)
        and not any(name in headers for name in _NEVER)
        and headers[hdrs.UPGRADE].lower() == "websocket"
        and headers[hdrs.SEC_WEBSOCKET_VERSION] == "13"
        and _KEY.fullmatch(headers[hdrs.SEC_WEBSOCKET_KEY]) is not None
    )


class SocketGreeter:
    """Open sockets for those who ask plainly.

    Args:
        app: the public application, which answers everybody else.
        sockets: which knows those that are open.
    """

    def __init__(self, app: web.Application, sockets: Sockets) -> None:
        self._sockets = sockets
        self._hops = app[SERVER].trusted_hops
        self._health = app[HEALTH]
        self._metrics = app[METRICS]

    def greet(self, handler: RequestHandler, message: RawRequestMessage) -> None:
        """Open a socket, if this is what a request plainly asks for.

        Raises:
            RequestError: the socket is not opened.
        """
        transport = handler.transport
        if transport is not None and is_plain(message):
            # A context of its own, as a task of aiohttp's has: the id of the request is in it.
            contextvars.copy_context().run(self._open, handler, transport, message)

    def _open(self, handler: RequestHandler, transport: asyncio.Transport, message: RawRequestMessage) -> None:
        started = time.perf_counter()
        headers = message.headers
        adopt_request_id(headers.get(REQUEST_ID_HEADER))
        client = forwarded_address(self._hops, headers.getall(FORWARDED_HEADER, ()))
        if client is None:
            client = _remote(handler)
        address = address_key(client)
        self._sockets.admission.check(address, self._health)
        handshake = read_handshake(headers, message.url.query)
        claims = self._sockets.admission.admit(handshake, address)
        line = self._sockets.open(transport, claims, handshake.version, address)
        subprotocol = handshake.subprotocols[0] if handshake.subprotocols else None
        begin(handler, transport, line, make_answer(headers[hdrs.SEC_WEBSOCKET_KEY], subprotocol))
        note_upgrade(self._metrics, PATH, client, time.perf_counter() - started)


def _remote(handler: RequestHandler) -> str:
    """Return the address of the other side, as aiohttp's request.remote does."""
    name = handler.peername
    return str(name[0]) if isinstance(name, tuple | list) else str(name or "")
