"""Serve a websocket as aiohttp does: one task that reads, for as long as the client stays."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

from services.chat.errors import ProtocolError
from services.chat.frames import Outlet
from services.chat.line import CLOSE_SECONDS, PAUSE_SECONDS
from services.chat.session import Session


class PlainLine:
    """Be the connection of one client.

    Args:
        socket: after its upgrade.
        transport: of the socket.
        session: of the client.
        outlet: the way to the client.
        receive: takes a message; says whether the client keeps to its rate.
        idle: seconds without any frame after which it is closed.
    """

    def __init__(
        self,
        *,
        socket: web.WebSocketResponse,
        transport: asyncio.Transport,
        session: Session,
        outlet: Outlet,
        receive: Callable[[Session, Any], bool],
        idle: float,
    ) -> None:
        self.session = session
        self._socket = socket
        self._transport = transport
        self._outlet = outlet
        self._receive = receive
        self._idle = idle
        # What reads the client's frames, while it does.
        self._pump: asyncio.Task[Any] | None = asyncio.current_task()
        self._ending: tuple[WSCloseCode, str] | None = None

    def end(self, code: WSCloseCode, reason: str) -> None:
        """Let the task stop reading and close; only it may wait for the client's own close frame."""
        if self._pump is not None and self._ending is None:
            self._ending = code, reason
            self._pump.cancel()

    def cut(self) -> None:
        """End without a word."""
        self._outlet.cut()

    async def ended(self) -> None:
        """Wait until the connection is gone."""
        if self._pump is not None:
            await asyncio.wait([self._pump])

    async def pump(self, closing: Callable[[str], None]) -> None:
        """Hand every frame to the session until either side ends, and close if it is ours to close."""
        try:
            code, reason = await self._read_until_ended()
            # From here on nobody may cancel what is being finished.
            self._ending = code, reason
            if reason:
                closing(reason)
                await self._close(code, reason)
        finally:
            self._ending = self._ending or (WSCloseCode.OK, "")

    async def _read_until_ended(self) -> tuple[WSCloseCode, str]:
        try:
            return await self._read()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if self._ending is None or task is None:
                raise
            task.uncancel()
            return self._ending

    async def _read(self) -> tuple[WSCloseCode, str]:
        while True:
            try:
                frame: WSMessage = await self._socket.receive(timeout=self._idle)
            except TimeoutError:
                return WSCloseCode.GOING_AWAY, "idle"
            if frame.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return WSCloseCode.OK, ""
            try:
                keeps_rate = self._receive(self.session, frame.data)
            except ProtocolError as error:
                return WSCloseCode.INVALID_TEXT, str(error)
            if not keeps_rate:
                await asyncio.sleep(PAUSE_SECONDS)

    async def _close(self, code: WSCloseCode, reason: str) -> None:
        """Send a close frame as the last one, and wait a moment for the client's own."""
        self._outlet.shut()
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(2 * CLOSE_SECONDS):
                # RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the code.
                await self._socket.close(code=code, message=reason.encode()[:123])
        if self._transport.get_write_buffer_size():
            # A peer that is gone without a word would keep what waits for it until TCP gives up.
            self._outlet.cut()
