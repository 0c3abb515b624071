"""Upgrade to a websocket whoever shows a token, and pump its frames into a session."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from aiohttp import WSCloseCode, WSMessage, WSMsgType, hdrs, web

from services.chat.chat import Chat
from services.chat.errors import ProtocolError
from services.chat.frames import Outlet
from services.chat.limits import Limits
from services.chat.metrics import ChatMetrics
from services.chat.protocol import Version, decode, parse_version
from services.chat.room import Rooms
from services.chat.session import Session
from services.errors import Malformed, TokenError, TooManyRequests, Unavailable
from services.tokens import Claims, Verifier
from services.web import HEALTH, json_response

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


@dataclass(eq=False, slots=True)
class _Open:
    socket: web.WebSocketResponse
    outlet: Outlet
    closing: asyncio.Task[None] | None = None


class Sockets:
    """Make websockets out of requests, and know those that are open.

    Args:
        verifier: of tokens.
        origins: web pages whose sockets are welcome.
        chat: what clients can do.
        rooms: where they listen.
        limits: what they may do at most.
        metrics: what is counted.
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
    ) -> None:
        self._verifier = verifier
        self._origins = origins
        self._chat = chat
        self._rooms = rooms
        self._limits = limits
        self._metrics = metrics
        self._open: set[_Open] = set()
        self._per_user: Counter[str] = Counter()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer GET /socket/websocket.

        Raises:
            Malformed: it is no websocket handshake that we can take.
            TooManyRequests: the user has too many sockets open.
            Unavailable: this process is stopping.
        """
        version, offered = _read_handshake(request)
        try:
            claims = self._authenticate(request, offered)
        except TokenError as error:
            # Phoenix refuses a socket with 403, and its clients wait for that.
            return _forbidden(error.code, error.message)
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and origin.lower() not in self._origins:
            return _forbidden("bad_origin", "Sockets of this web page are not welcome.")
        if request.app[HEALTH].draining:
            raise Unavailable("This process is stopping; connect again.", retry_after=1)
        if self._per_user[claims.identity] >= self._limits.sockets_per_user:
            raise TooManyRequests("Too many sockets are open.", retry_after=10)
        self._per_user[claims.identity] += 1
        try:
            return await self._serve(request, claims, version, offered)
        finally:
            self._per_user[claims.identity] -= 1
            if not self._per_user[claims.identity]:
                del self._per_user[claims.identity]

    async def drain(self) -> None:
        """Tell every client to connect again, to another process, a batch at a time."""
        sockets = list(self._open)
        for start in range(0, len(sockets), DRAIN_BATCH):
            if start:
                await asyncio.sleep(DRAIN_PAUSE_SECONDS)
            for opened in sockets[start : start + DRAIN_BATCH]:
                closing = _close(opened.socket, opened.outlet, WSCloseCode.SERVICE_RESTART, "restarting")
                opened.closing = asyncio.create_task(closing)
        await asyncio.gather(*(opened.closing for opened in sockets if opened.closing is not None))

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
        session = Session(
            identity=claims.identity,
            version=version,
            outlet=outlet,
            chat=self._chat,
            rooms=self._rooms,
            limits=self._limits,
            metrics=self._metrics,
        )
        opened = _Open(socket, outlet)
        self._open.add(opened)
        self._metrics.sockets.inc()
        try:
            await self._pump(socket, outlet, session, version)
        finally:
            self._metrics.sockets.dec()
            self._open.discard(opened)
            await session.close()
            # The connection ends with this call, and must not before the client has read why.
            if opened.closing is not None:
                await opened.closing
        return socket

    async def _pump(self, socket: web.WebSocketResponse, outlet: Outlet, session: Session, version: Version) -> None:
        """Hand every frame to the session until either side ends."""
        while True:
            try:
                frame: WSMessage = await socket.receive(timeout=self._limits.idle_seconds)
            except TimeoutError:
                await _close(socket, outlet, WSCloseCode.GOING_AWAY, "idle")
                return
            if frame.type not in {WSMsgType.TEXT, WSMsgType.BINARY}:
                return
            try:
                keeps_rate = session.receive(decode(frame.data, version))
            except ProtocolError as error:
                await _close(socket, outlet, WSCloseCode.INVALID_TEXT, str(error))
                return
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


def _forbidden(code: str, message: str) -> web.Response:
    return json_response({"error": {"code": code, "message": message}}, status=403)


async def _close(socket: web.WebSocketResponse, outlet: Outlet, code: WSCloseCode, reason: str) -> None:
    """Send a close frame as the last one, and wait a moment for the client's own."""
    outlet.shut()
    with suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(2 * CLOSE_SECONDS):
            # RFC 6455, section 5.5: a control frame holds 125 bytes, two of them the code.
            await socket.close(code=code, message=reason.encode()[:123])
