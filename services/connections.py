"""Guard the public port before there is a request: how many connections, and how long each may take to say something.

aiohttp waits for a request's head as long as its client likes (slowloris); behind a gateway that buffers heads none of
this is met, and a service must not depend on that.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any, Protocol, cast

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web_protocol import RequestHandler

from services.door import Caller, Door

# What a client still sends after its answer is read and thrown away for so long, so that it reads the answer.
LINGER_SECONDS = 2.0
MAX_HEADERS = 64
MAX_HEADER_BYTES = 8190
logger = logging.getLogger(__name__)


class Greeter(Protocol):
    """Serve requests that need nothing of aiohttp."""

    def greet(self, transport: asyncio.Transport, head: bytes) -> bool:
        """Take a connection over by what came first on it, and say whether that was done.

        Raises:
            Exception: it would take it, and refuses the request; aiohttp's handler of the path answers with that.
        """


GREETER = web.AppKey("greeter", Greeter)


class GuardedHandler(RequestHandler):
    """Be one connection of aiohttp's, which a door watches until it has said what it wants.

    Args:
        door: what watches.
        manager: aiohttp's server.
        guest: what the door knows this connection as, if it was let in before it was aiohttp's.

    Attributes:
        refusal: why the greeter would not have the first request.
    """

    __slots__ = ("_caller", "_door", "_heads", "_is_in", "refusal")

    def __init__(self, door: Door, manager: web.Server, guest: Guest | None = None, **options: Any) -> None:
        super().__init__(manager, **options)
        self._door = door
        self._heads = 0
        self._caller: Caller = guest or self
        self._is_in = guest is not None
        self.refusal: Exception | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with the door's leave."""
        super().connection_made(transport)
        if not self._is_in:
            self._is_in = True
            self._door.enter(self._caller)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        if self._is_in:
            self._is_in = False
            self._door.leave(self._caller)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take bytes; those that complete no head, and come while no request is served, begin a wait."""
        super().data_received(data)
        if self._request_count != self._heads:
            self._heads = self._request_count
            self._door.heard(self._caller)
        elif self._waiter is not None and not self._waiter.done() and self._is_in:
            self._door.expect(self._caller)

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


class Guest(asyncio.Protocol):
    """Be one connection until its first bytes come: then it is the greeter's, or aiohttp's as any other.

    An aiohttp handler is a parser, two tasks and a request's objects, which is more than most handshakes need.

    Args:
        door: what watches.
        greeter: who has the first look.
        server: makes aiohttp's handler.
    """

    __slots__ = ("_door", "_greeter", "_server", "_transport")

    def __init__(self, door: Door, greeter: Greeter, server: _Server) -> None:
        self._door = door
        self._greeter = greeter
        self._server = server
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin, with the door's leave."""
        self._transport = cast("asyncio.Transport", transport)
        self._server.guests.add(self)
        self._door.enter(self)

    def data_received(self, data: bytes) -> None:
        """Find out whose it is."""
        transport, refusal = self._transport, None
        if transport is None or transport.is_closing():
            return
        try:
            if self._greeter.greet(transport, data):
                self.connection_lost(None)
                return
        except Exception as error:  # noqa: BLE001  # whatever it is, the request's handler raises it
            refusal = error
        self._server.guests.discard(self)
        handler = self._server.make_handler(self)
        handler.refusal = refusal
        transport.set_protocol(handler)
        handler.connection_made(transport)
        handler.data_received(data)

    def connection_lost(self, exc: BaseException | None) -> None:
        """End."""
        del exc
        self._server.guests.discard(self)
        if self._transport is not None:
            self._transport = None
            self._door.leave(self)

    def cut(self) -> None:
        """End at once."""
        if self._transport is not None:
            self._transport.abort()


class _Server(web.Server):
    """Make guarded connections."""

    def __init__(self, door: Door, handler: Any, greeter: Greeter | None, **options: Any) -> None:
        super().__init__(handler, **options)
        self._door = door
        self._greeter = greeter
        # Those that have said nothing yet, and that aiohttp therefore knows nothing of.
        self.guests: set[Guest] = set()

    def __call__(self) -> RequestHandler:
        if self._greeter is None:
            return self.make_handler()
        # All that the loop wants is a protocol.
        return cast("RequestHandler", Guest(self._door, self._greeter, self))

    def make_handler(self, guest: Guest | None = None) -> GuardedHandler:
        return GuardedHandler(self._door, self, guest, loop=self._loop, **self._kwargs)

    def pre_shutdown(self) -> None:
        """Let go of who has said nothing, as aiohttp does of its own."""
        super().pre_shutdown()
        for guest in tuple(self.guests):
            guest.cut()


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
