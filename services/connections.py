"""Guard the public port before there is a request: how many connections, and how long each may take to say something.

aiohttp waits for a request's head as long as its client likes (slowloris); behind a gateway that buffers heads none of
this is met, and a service must not depend on that.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from services.port_settings import ConnectionSettings

# What a client still sends after its answer is read and thrown away for so long, so that it reads the answer.
LINGER_SECONDS = 2.0
# Of too many that have said nothing some go after so long. Who has just come may have said it where we have not read
# yet: after a restart thousands come at once, and all are taken before any is read.
CROWD_SECONDS = 1.0
MAX_HEADERS = 64
MAX_HEADER_BYTES = 8190
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """Take note of connections, for metrics.

    Attributes:
        opened: called with the number of open connections whenever it changes.
        refused: called with the reason of a connection that is cut.
    """

    opened: Callable[[int], None]
    refused: Callable[[str], None]


class Door:
    """Know the connections of one port, and cut those that are too many or too slow.

    Args:
        settings: how many and how long.
        watch: what takes note.
    """

    def __init__(self, settings: ConnectionSettings, watch: Watch) -> None:
        self._settings = settings
        self._watch = watch
        self._open = 0
        # Connections that owe us a request's head, the longest first.
        self._waiting: dict[GuardedHandler, asyncio.TimerHandle] = {}
        self._thinning: asyncio.TimerHandle | None = None

    def enter(self, handler: GuardedHandler) -> None:
        """Let a connection in, or cut it when the port is full."""
        self._open += 1
        self._watch.opened(self._open)
        if self._open > self._settings.most:
            self._cut(handler, "full")
        else:
            self.expect(handler)

    def expect(self, handler: GuardedHandler) -> None:
        """Wait for a request's head; a connection that waits already has the time that it has left."""
        if handler in self._waiting:
            return
        loop = asyncio.get_running_loop()
        self._waiting[handler] = loop.call_later(self._settings.head_seconds, self._cut, handler, "slow")
        if self._thinning is None and len(self._waiting) > self._settings.most_waiting:
            # Timers come before sockets in a turn of uvloop: a second one comes after all have been read once.
            self._thinning = loop.call_later(CROWD_SECONDS, loop.call_later, 0, self._thin_out)

    def heard(self, handler: GuardedHandler) -> None:
        """Wait no more: the head is there."""
        timer = self._waiting.pop(handler, None)
        if timer is not None:
            timer.cancel()

    def leave(self, handler: GuardedHandler) -> None:
        """Forget a connection that has ended."""
        self.heard(handler)
        self._open -= 1
        self._watch.opened(self._open)

    def _thin_out(self) -> None:
        self._thinning = None
        while len(self._waiting) > self._settings.most_waiting:
            self._cut(next(iter(self._waiting)), "crowded")

    def _cut(self, handler: GuardedHandler, reason: str) -> None:
        self.heard(handler)
        self._watch.refused(reason)
        logger.debug("a connection is cut", extra={"fields": {"reason": reason}})
        handler.cut()


class GuardedHandler(RequestHandler):
    """Be one connection, which a door watches until it has said what it wants."""

    __slots__ = ("_door", "_heads", "_is_in")

    def __init__(self, door: Door, manager: web.Server, **options: Any) -> None:
        super().__init__(manager, **options)
        self._door = door
        self._heads = 0
        self._is_in = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with the door's leave."""
        super().connection_made(transport)
        self._is_in = True
        self._door.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        if self._is_in:
            self._is_in = False
            self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those that complete no head, and come while no request is served, begin a wait."""
        super().data_received(data)
        if self._request_count != self._heads:
            self._heads = self._request_count
            self._door.heard(self)
        elif self._waiter is not None and not self._waiter.done() and self._is_in:
            self._door.expect(self)

    def cut(self) -> None:
        """End at once."""
        transport = self.transport
        self.force_close()
        if transport is not None:
            transport.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what is not HTTP in our own words; aiohttp's quote the bytes, and log them with a token in it."""
        del message
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        if isinstance(exc, HttpProcessingError) or status < 500:  # noqa: PLR2004  # the server's own mistakes begin there
            logger.info("not HTTP", extra={"fields": {"reason": type(exc).__name__, "client": request.remote}})
            text = (
                '{"error":{"code":"malformed","message":"This is not HTTP as we read it, or its head is too large."}}'
            )
        else:
            logger.error("a connection failed", exc_info=exc)
            text = '{"error":{"code":"internal","message":"Something went wrong on our side."}}'
        response = web.Response(status=status, text=text, content_type="application/json")
        response.force_close()
        return response


class _Server(web.Server):
    """Make guarded connections."""

    def __init__(self, door: Door, handler: Any, **options: Any) -> None:
        super().__init__(handler, **options)
        self._door = door

    def __call__(self) -> RequestHandler:
        return GuardedHandler(self._door, self, loop=self._loop, **self._kwargs)


class GuardedRunner(web.AppRunner):
    """Run an application behind a door.

    Args:
        app: the application.
        door: what watches its connections.
        shutdown_timeout: seconds that requests in flight may take at the end.
    """

    def __init__(self, app: web.Application, door: Door, *, shutdown_timeout: float) -> None:
        super().__init__(
            app,
            # Our own access log names no query, in which a token may be.
            access_log=None,
            shutdown_timeout=shutdown_timeout,
            # A few bytes that unpack to gigabytes are never unpacked: services.web refuses them by their header.
            auto_decompress=False,
            lingering_time=LINGER_SECONDS,
            max_headers=MAX_HEADERS,
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
        )
        self._door = door

    async def _make_server(self) -> web.Server:
        await super()._make_server()
        loop = asyncio.get_running_loop()
        handle, make = self._app._handle, self._app._make_request  # noqa: SLF001  # as the runner itself does
        return _Server(self._door, handle, request_factory=make, loop=loop, **self._kwargs)
