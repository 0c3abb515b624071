"""Own a websocket after its upgrade: one small protocol in the place of aiohttp's handler, its tasks and its queues.

A socket of ours costs no task, reads its frames with aiohttp's own parser, and answers pings and closes itself.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Sequence
from typing import Any, Protocol, cast

from aiohttp import WSCloseCode, WSMsgType
from aiohttp.http import WebSocketError

from services.chat.errors import ProtocolError
from services.chat.frames import Outlet
from services.chat.parsing import Parser, Parsers
from services.chat.session import Session

# A peer that does not answer our close frame by then is not waited for.
CLOSE_SECONDS = 2.0
# While a flooding client is told so, the others have their turn.
PAUSE_SECONDS = 0.05
# RFC 6455, sections 5.2 and 5.5: control frames are whole, and hold 125 bytes; a close has its code in two of them.
_FINAL = 0x80
# Looked up once, since every frame is compared with them.
_CLOSE, _PING, _PONG = WSMsgType.CLOSE, WSMsgType.PING, WSMsgType.PONG
_MOST_CONTROL = 125
# Section 7.4, and the registry that it founds; codes beyond 2999 are the applications'.
_CODES = frozenset({1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014})
_OWN_CODES = range(3000, 5000)


class Keeper(Protocol):
    """Be who takes what lines bring."""

    def receive(self, line: Line, data: str | bytes) -> bool:
        """Take one message; say whether the client keeps to its rate.

        Raises:
            ProtocolError: it is none.
        """

    def closing(self, reason: str) -> None:
        """Count a close of ours."""

    def ended(self, line: Line) -> None:
        """Forget a line whose connection is gone."""


class Line(asyncio.Protocol):
    """Be the connection of one client.

    Args:
        keeper: who takes what comes.
        session: of the client.
        outlet: the way to the client.
        address: where the client is counted.
        parsers: lends what reads frames.

    Attributes:
        heard: when something came in last, by time.monotonic().
    """

    __slots__ = (
        "_gone",
        "_is_ending",
        "_is_held",
        "_keeper",
        "_outlet",
        "_parser",
        "_parsers",
        "_transport",
        "_waiting",
        "address",
        "heard",
        "session",
    )

    def __init__(self, keeper: Keeper, session: Session, outlet: Outlet, address: str, parsers: Parsers) -> None:
        self.session = session
        self.address = address
        self.heard = time.monotonic()
        self._keeper = keeper
        self._outlet = outlet
        self._transport: asyncio.Transport | None = None
        self._parsers = parsers
        # Only while frames come in parts, or what came was none.
        self._parser: Parser | None = None
        # Read and not yet handed on, since the client has to wait.
        self._waiting: Sequence[Any] = ()
        self._is_held = False
        self._is_ending = False
        self._gone: asyncio.Future[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Take the bytes that came."""
        self.heard = time.monotonic()
        parser = self._parser
        if parser is None:
            parser, is_kept = self._parsers.lend(data)
            if is_kept:
                self._parser = parser
        messages = parser.parse(data)
        if parser.error is not None:
            # It parses nothing more, and is nobody else's.
            self._parser = parser
        self._waiting = [*self._waiting, *messages] if self._waiting else messages
        self._drain()

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        del exc
        if self._transport is None:
            return
        self._transport = None
        self._outlet.shut()
        if self._gone is not None and not self._gone.done():
            self._gone.set_result(None)
        self._keeper.ended(self)

    def end(self, code: WSCloseCode, reason: str) -> None:
        """Close from our side: the last frame says why, and the client has a moment to answer it."""
        if self._is_ending or self._transport is None:
            return
        self._keeper.closing(reason)
        self._say_close(code, reason)
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self._give_up)

    def cut(self) -> None:
        """End without a word."""
        if self._transport is not None:
            self._transport.abort()

    async def ended(self) -> None:
        """Wait until the connection is gone."""
        if self._transport is not None:
            if self._gone is None:
                self._gone = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._gone)

    def _settle_reading(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        # Pausing twice and resuming twice are fine in both asyncio and uvloop.
        if self._is_held:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    def _drain(self) -> None:
        """Hand on what was read, until there is no more of it or its client has to wait."""
        waiting, count = self._waiting, 0
        while count < len(waiting) and not self._is_held and self._transport is not None:
            self._take(waiting[count])
            count += 1
        self._waiting = waiting[count:] or ()
        if not self._waiting and self._parser is not None:
            self._fail(self._parser.error)

    def _take(self, message: Any) -> None:
        kind = message.type
        if kind is _CLOSE:
            self._answer_close(message.data or WSCloseCode.OK)
        elif self._is_ending:
            return
        elif kind is _PING:
            self._outlet.write(_control(_PONG, message.data))
        elif kind is not _PONG:
            try:
                keeps_rate = self._keeper.receive(self, message.data)
            except ProtocolError as error:
                self.end(WSCloseCode.INVALID_TEXT, str(error))
                return
            if not keeps_rate:
                self._is_held = True
                self._settle_reading()
                asyncio.get_running_loop().call_later(PAUSE_SECONDS, self._release)

    def _release(self) -> None:
        self._is_held = False
        self._drain()
        self._settle_reading()

    def _fail(self, error: BaseException | None) -> None:
        """End, where what came is no websocket frame."""
        if error is not None and not self._is_ending:
            code = error.code if isinstance(error, WebSocketError) else WSCloseCode.PROTOCOL_ERROR
            self.end(WSCloseCode(code), "no frame")
            # Its answer could not be read: so it is told the end, and what it sends until it ends too is dropped.
            if self._transport is not None and self._transport.can_write_eof():
                self._transport.write_eof()

    def _answer_close(self, code: int) -> None:
        if not self._is_ending:
            # aiohttp's parser lets 1006 pass, which stands for a connection without a close, and what is over 4999.
            may_come = code in _CODES or code in _OWN_CODES
            self._say_close(code if may_come else WSCloseCode.PROTOCOL_ERROR, "")
        if self._transport is not None:
            self._transport.close()

    def _say_close(self, code: int, reason: str) -> None:
        self._is_ending = True
        said = reason.encode()[: _MOST_CONTROL - 2].decode(errors="ignore").encode()
        self._outlet.write(_control(_CLOSE, struct.pack("!H", code) + said))
        self._outlet.shut()

    def _give_up(self) -> None:
        if self._transport is None:
            return
        if self._transport.get_write_buffer_size():
            # A peer that is gone without a word would keep what waits for it until TCP gives up.
            self._transport.abort()
        else:
            self._transport.close()


def _control(kind: WSMsgType, data: bytes | bytearray) -> bytes:
    return bytes((_FINAL | kind, len(data))) + data
