"""Upgrade to a websocket whoever shows a token, and pump its frames into a session."""

from __future__ import annotations

import asyncio
import base64
import binascii
import math
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from aiohttp import WSCloseCode, WSMessage, WSMsgType, hdrs, web

from services.chat.census import Census
from services.chat.chat import Chat
from services.chat.errors import ProtocolError
from services.chat.extensions import Extension, Extensions
from services.chat.frames import Outlet
from services.chat.limits import Limits
from services.chat.metrics import ChatMetrics
from services.chat.protocol import Version, decode, parse_version
from services.chat.rates import Rates
from services.chat.room import Rooms
from services.chat.session import Session
from services.chat.shared import Shared
from services.errors import Malformed, TokenError, TooManyRequests, Unavailable
from services.rate_limits import address_key
from services.tokens import Claims, Verifier
from services.web import HEALTH, client_address, json_response

SUBPROTOCOL = "phoenix"
# phoenix.js hands its authToken over as a second subprotocol of this form.
TOKEN_PREFIX = "base64url.bearer.phx."  # noqa: S105  # where a token follows, and none itself
# A peer that does not answer our close frame by then is not waited for.
CLOSE_SECONDS = 2.0
# While a flooding client is told so, the others have their turn.
PAUSE_SECONDS = 0.05
# So many are told to reconnect at once; between two batches those who did get their turn.
DRAIN_BATCH = 500
DRAIN_PAUSE_SECONDS = 0.1
DAY = 24 * 3600
CLOSE_REASONS = frozenset({"idle", "session over", "account deleted", "restarting"})
# What a client has asked for is finished before it is told; longer than this is a database that is away.
SETTLE_SECONDS = 5.0


@dataclass(eq=False, slots=True)
class _Open:
    socket: web.WebSocketResponse
    transport: asyncio.Transport
    outlet: Outlet
    session: Session
    # What reads the client's frames, while it does.
    pump: asyncio.Task[Any] | None
    ending: tuple[WSCloseCode, str] | None = None

    def end(self, code: WSCloseCode, reason: str) -> None:
        """Let the pump stop reading and close; only it may wait for the client's own close frame."""
        if self.pump is not None and self.ending is None:
            self.ending = code, reason
            self.pump.cancel()


class Sockets:
    """Make websockets out of requests, and know those that are open.

    Args:
        verifier: of tokens.
        origins: web pages whose sockets are welcome.
        chat: what clients can do.
        rooms: where they listen.
        limits: what they may do at most.
        metrics: what is counted.
        extensions: the features beyond the core.
    """

    def __init__(
        self,
        *,
        verifier: Verifier,
        origins: frozenset[str],
        chat: Chat,
        rooms: Rooms,
        limits: Limits,
        metrics: ChatMetrics,
        extensions: Sequence[Extension] = (),
    ) -> None:
        self._verifier = verifier
        self._origins = origins
        self._limits = limits
        self._metrics = metrics
        self._shared = Shared(
            verifier=verifier,
            chat=chat,
            rooms=rooms,
            limits=limits,
            rates=Rates(limits),
            metrics=metrics,
            extensions=Extensions(extensions),
        )
        self._open: set[_Open] = set()
        self._census = Census(limits)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer GET /socket/websocket.

        Raises:
            Malformed: it is no websocket handshake that we can take.
            TooManyRequests: the user or the address connects too often, or has too many sockets open.
            Unavailable: this process is stopping, or full.
        """
        address = address_key(client_address(request))
        wait = self._shared.rates.handshakes.take(address)
        if wait:
            self._metrics.turned_away.labels("rate").inc()
            raise TooManyRequests("Too many sockets are being opened; wait a moment.", retry_after=math.ceil(wait))
        if request.app[HEALTH].draining:
            raise Unavailable("This process is stopping; connect again.", retry_after=1)
        version, offered = _read_handshake(request)
        try:
            claims = self._authenticate(request, offered)
        except TokenError as error:
            # Phoenix refuses a socket with 403, and its clients wait for that.
            return self._forbid(error.code, error.message)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and origin.lower() not in self._origins:
            return self._forbid("bad_origin", "Sockets of this web page are not welcome.")
        try:
            self._census.enter(claims.identity, address)
        except (TooManyRequests, Unavailable) as error:
            self._metrics.turned_away.labels(error.code).inc()
            raise
        try:
            return await self._serve(request, claims, version, offered)
        finally:
            self._census.leave(claims.identity, address)

    async def recheck(self, find_known: Callable[[Collection[str]], Awaitable[set[str]]]) -> None:
        """Close the sockets of people who are gone, and of logins that are over.

        Args:
            find_known: returns those of these identities who still have an account.

        Raises:
            DatabaseUnavailable: whether somebody is gone cannot be told now.
        """
        oldest = time.time() - self._limits.session_days * DAY
        for opened in tuple(self._open):
            if opened.session.auth_time <= oldest:
                opened.end(WSCloseCode.POLICY_VIOLATION, "session over")
        asked = {opened.session.identity for opened in self._open}
        for identity in asked - await find_known(asked):
            self.end_user(identity)

    def end_user(self, identity: str) -> None:
        """Close every socket of a person who has no account any more."""
        for opened in tuple(self._open):
            if opened.session.identity == identity:
                opened.end(WSCloseCode.POLICY_VIOLATION, "account deleted")

    async def drain(self) -> None:
        """Tell every client to connect again, to another process, a batch at a time.

        First is finished what they have asked for, so that who said something hears it before the close.
        """
        self._shared.is_stopping = True
        sockets = list(self._open)
        if sockets:
            settling = [asyncio.create_task(opened.session.settle()) for opened in sockets]
            await asyncio.wait(settling, timeout=SETTLE_SECONDS)
        for start in range(0, len(sockets), DRAIN_BATCH):
            if start:
                await asyncio.sleep(DRAIN_PAUSE_SECONDS)
            for opened in sockets[start : start + DRAIN_BATCH]:
                opened.end(WSCloseCode.SERVICE_RESTART, "restarting")
        if closing := [opened.pump for opened in sockets if opened.pump is not None]:
            await asyncio.wait(closing, timeout=SETTLE_SECONDS)

    def _authenticate(self, request: web.Request, offered: list[str]) -> Claims:
        token = request.query.get("token") or _offered_token(offered)
        if not token:
            raise TokenError("A token is needed.", code="no_token")
        return self._verifier.verify(token)

    async def _serve(
        self, request: web.Request, claims: Claims, version: Version, offered: list[str]
    ) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(
            protocols=(SUBPROTOCOL,) if offered else (),
            max_msg_size=self._limits.frame_bytes,
            timeout=CLOSE_SECONDS,
            # One encoding serves a whole room, which a compressor with a memory of its own per socket rules out.
            compress=False,
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        outlet = Outlet(transport, most=self._limits.buffer_bytes, on_drop=self._metrics.dropped.inc)
        session = Session(shared=self._shared, claims=claims, version=version, outlet=outlet)
        opened = _Open(socket, transport, outlet, session, asyncio.current_task())
        self._open.add(opened)
        self._metrics.sockets.inc()
        try:
            code, reason = await self._pump(opened, version)
            # From here on nobody may cancel what is being finished.
            opened.pump = None
            if reason:
                self._metrics.closed.labels(reason if reason in CLOSE_REASONS else "no frame").inc()
                await _close(opened, code, reason)
        finally:
            opened.pump = None
            self._metrics.sockets.dec()
            self._open.discard(opened)
            await session.close()
        return socket

    def _forbid(self, code: str, message: str) -> web.Response:
        self._metrics.turned_away.labels(code).inc()
        return json_response({"error": {"code": code, "message": message}}, status=403)

    async def _pump(self, opened: _Open, version: Version) -> tuple[WSCloseCode, str]:
        """Hand every frame to the session until either side ends; return why it is ours to close, if it is."""
        try:
            return await self._read(opened, version)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if opened.ending is None or task is None:
                raise
            task.uncancel()
            return opened.ending

    async def _read(self, opened: _Open, version: Version) -> tuple[WSCloseCode, str]:
        socket, session, depth = opened.socket, opened.session, self._limits.payload_depth
        while True:
            try:
                frame: WSMessage = await socket.receive(timeout=self._limits.idle_seconds)
            except TimeoutError:
                return WSCloseCode.GOING_AWAY, "idle"
            if frame.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return WSCloseCode.OK, ""
            try:
                keeps_rate = session.receive(decode(frame.data, version, depth))
            except ProtocolError as error:
                return WSCloseCode.INVALID_TEXT, str(error)
            if not keeps_rate:
                await asyncio.sleep(PAUSE_SECONDS)


def _read_handshake(request: web.Request) -> tuple[Version, list[str]]:
    """Return the serializer, and the subprotocols that the client offers."""
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise Malformed("This path speaks websocket only.", code="no_upgrade")
    try:
        version = parse_version(request.query.get("vsn", ""))
    except ProtocolError as error:
        raise Malformed(str(error), code="bad_version") from error
    header = ",".join(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
    offered = [part.strip() for part in header.split(",") if part.strip()]
    # aiohttp would log what is offered where none of it is ours, and that may be a token.
    if offered and SUBPROTOCOL not in offered:
        raise Malformed(f"The subprotocol must be {SUBPROTOCOL}.", code="bad_subprotocol")
    return version, offered


def _offered_token(offered: list[str]) -> str:
    """Read the token out of phoenix.js's second subprotocol; its padding is cut off."""
    for part in offered:
        if part.startswith(TOKEN_PREFIX):
            encoded = part.removeprefix(TOKEN_PREFIX).replace("+", "-").replace("/", "_")
            with suppress(binascii.Error, ValueError):
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    return ""


async def _close(opened: _Open, code: WSCloseCode, reason: str) -> None:
    """Send a close frame as the last one, and wait a moment for the client's own."""
    opened.outlet.shut()
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(2 * CLOSE_SECONDS):
            # RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the code.
            await opened.socket.close(code=code, message=reason.encode()[:123])
    if opened.transport.get_write_buffer_size():
        # A peer that is gone without a word would keep what waits for it until TCP gives up.
        opened.outlet.cut()
