"""Guard the public port before there is a request: how many connections, and how long each may take to say something.

aiohttp waits for a request's head as long as its client likes (slowloris); behind a gateway that buffers heads none of
this is met, and a service must not depend on that.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http import RawRequestMessage
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from services.door import Door
from services.handover import first_message, put_off

# What a client still sends after its answer is read and thrown away for so long, so that it reads the answer.
LINGER_SECONDS = 2.0
MAX_HEADERS = 64
MAX_HEADER_BYTES = 8190
logger = logging.getLogger(__name__)


class Greeter(Protocol):
    """Serve requests as soon as they are read, which need nothing of aiohttp but its parser."""

    def greet(self, handler: RequestHandler, message: RawRequestMessage) -> None:
        """Take over the connection that brings a request first (services.handover), or leave both alone.

        Raises:
            Exception: it would take it, and refuses the request; aiohttp's handler of the path answers with that.
        """


GREETER = web.AppKey("greeter", Greeter)


class GuardedHandler(RequestHandler):
    """Be one connection of aiohttp's, which a door watches until it has said what it wants.

    Args:
        door: what watches.
        manager: aiohttp's server.
        greeter: who has the first look at the first request.

    Attributes:
        refusal: why the greeter would not have the first request.
    """

    __slots__ = ("_door", "_greeter", "_heads", "_is_begun", "_is_in", "refusal")

    def __init__(self, door: Door, manager: web.Server, greeter: Greeter | None = None, **options: Any) -> None:
        super().__init__(manager, **options)
        self._door = door
        self._greeter = greeter
        self._heads = 0
        self._is_begun = False
        self._is_in = False
        self.refusal: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with the door's leave; with a greeter aiohttp does so once there is something for it."""
        if self._greeter is None:
            self._begin(transport)
        else:
            put_off(self, cast("asyncio.Transport", transport))
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
            self._greet()
            if self._is_in:
                self._door.heard(self)
        elif self._waiter is not None and not self._waiter.done() and self._is_in:
            self._door.expect(self)
        if not self._is_begun and self.transport is not None:
            self._begin(self.transport)

    def close(self) -> None:
        """Take no more requests, and end once those that were taken are answered."""
        super().close()
        if not self._is_begun:
            # Aiohttp's task would end it.
            self.force_close()

    def _begin(self, transport: asyncio.BaseTransport) -> None:
        self._is_begun = True
        super().connection_made(transport)

    def _greet(self) -> None:
        """Let the greeter look at the first request, before aiohttp begins with it."""
        greeter, self._greeter = self._greeter, None
        message = first_message(self) if greeter is not None else None
        if greeter is None or message is None:
            return
        try:
            greeter.greet(self, message)
        except Exception as error:
            if not self.connected:
                # The connection is the greeter's by now: the loop ends it.
                raise
            # Whatever it is, the request's handler raises it.
            self.refusal = error

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


def take_refusal(request: web.Request) -> Exception | None:
    """Return, once, why a greeter would not have a request."""
    handler = request.protocol
    if not isinstance(handler, GuardedHandler):
        return None
    refusal, handler.refusal = handler.refusal, None
    return refusal


class _Server(web.Server):
    """Make guarded connections."""

    def __init__(self, door: Door, handler: Any, greeter: Greeter | None, **options: Any) -> None:
        super().__init__(handler, **options)
        self._door = door
        self._greeter = greeter

    def __call__(self) -> RequestHandler:
        return GuardedHandler(self._door, self, self._greeter, loop=self._loop, **self._kwargs)


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
        greeter = self._app.get(GREETER)
        return _Server(self._door, handle, greeter, request_factory=make, loop=loop, **self._kwargs)
