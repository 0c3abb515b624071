"""Open a socket from its first bytes, without aiohttp, where they are a handshake as nearly everybody writes one.

What aiohttp makes of a request (a parser, two tasks, a request, headers, a route) takes longer than the check of the
token, and after a restart everybody connects at once. So a head that came in one piece, and leaves no question of how
it is to be read, is read here. Any other, and whoever is refused, is aiohttp's, whose answers are then the same.
"""

from __future__ import annotations

import asyncio
import contextvars
import re
import time

import msgspec
from aiohttp import web

from services.chat.handshake import make_answer, make_handshake
from services.chat.socket import Sockets
from services.connections import MAX_HEADER_BYTES, MAX_HEADERS
from services.logs import REQUEST_ID_HEADER, adopt_request_id
from services.observe import note_upgrade
from services.rate_limits import address_key
from services.web import FORWARDED_HEADER, HEALTH, METRICS, SERVER, forwarded_address

PATH = "/socket/websocket"
# What needs no unquoting, each name with a value; a header's value without anything that could end its line.
_PAIR = r"[\w.~-]+=[\w.~-]*"
_HEAD = re.compile(
    rf"GET {PATH}\?({_PAIR}(?:&{_PAIR})*) HTTP/1\.1\r\n((?:[\w-]+:[ -~]*\r\n)+)\r\n".encode(),
)
# Sixteen bytes (RFC 6455, section 4.1).
_KEY = re.compile(r"[A-Za-z0-9+/]{22}==")
_CONNECTION = frozenset({"upgrade", "keep-alive, upgrade"})
# Of a request with a body, or that waits for an answer before it goes on.
_NOT_PLAIN = frozenset({"content-length", "transfer-encoding", "expect", "trailer", "te"})


class Plain(msgspec.Struct, frozen=True):
    """Be a handshake as nearly everybody writes it.

    Attributes:
        query: its names, each once.
        headers: its headers by their names in lower case, each once.
    """

    query: dict[str, str]
    headers: dict[str, str]


def read_plain(head: bytes) -> Plain | None:
    """Read a head that is complete, says each thing once, and asks for a websocket of ours; else return nothing."""
    match = _HEAD.fullmatch(head) if len(head) <= MAX_HEADER_BYTES else None
    if match is None:
        return None
    pairs, lines = match[1].decode().split("&"), match[2].decode().split("\r\n")[:-1]
    query = dict(pair.split("=") for pair in pairs)
    headers = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    if len(query) < len(pairs) or not len(headers) == len(lines) <= MAX_HEADERS or not _NOT_PLAIN.isdisjoint(headers):
        return None
    return Plain(query, headers) if _is_upgrade(headers) else None


def _is_upgrade(headers: dict[str, str]) -> bool:
    """RFC 6455, section 4.2.1."""
    return (
        headers.get("upgrade", "").lower() == "websocket"
        and headers.get("connection", "").lower() in _CONNECTION
        and headers.get("sec-websocket-version") == "13"
        and _KEY.fullmatch(headers.get("sec-websocket-key", "")) is not None
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

    def greet(self, transport: asyncio.Transport, head: bytes) -> bool:
        """Open a socket, if this is what a head plainly asks for, and say whether it was done.

        Raises:
            RequestError: the socket is not opened.
        """
        plain = read_plain(head)
        if plain is None:
            return False
        # A context of its own, as a task of aiohttp's has: the id of the request is in it.
        contextvars.copy_context().run(self._open, transport, plain)
        return True

    def _open(self, transport: asyncio.Transport, plain: Plain) -> None:
        started = time.perf_counter()
        headers, query = plain.headers, plain.query
        adopt_request_id(headers.get(_REQUEST_ID))
        forwarded = headers.get(_FORWARDED)
        client = forwarded_address(self._hops, () if forwarded is None else (forwarded,))
        if client is None:
            client = _peer(transport)
        address = address_key(client)
        self._sockets.admission.check(address, self._health)
        handshake = make_handshake(
            vsn=query.get("vsn", ""),
            token=query.get("token", ""),
            protocols=headers.get("sec-websocket-protocol", ""),
            origin=headers.get("origin"),
        )
        claims = self._sockets.admission.admit(handshake, address)
        line = self._sockets.open(transport, claims, handshake.version, address)
        transport.set_protocol(line)
        subprotocol = handshake.subprotocols[0] if handshake.subprotocols else None
        transport.write(make_answer(headers["sec-websocket-key"], subprotocol))
        line.connection_made(transport)
        note_upgrade(self._metrics, PATH, client, time.perf_counter() - started)


_REQUEST_ID = REQUEST_ID_HEADER.lower()
_FORWARDED = FORWARDED_HEADER.lower()


def _peer(transport: asyncio.Transport) -> str:
    """Return the address of the other side, as aiohttp's request.remote does."""
    name = transport.get_extra_info("peername")
    return str(name[0]) if isinstance(name, tuple | list) else str(name or "")
