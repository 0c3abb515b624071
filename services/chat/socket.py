"""Upgrade to a websocket whoever shows a token, and pump its frames into a session."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Protocol

from aiohttp import WSCloseCode, web

from services.chat.admission import Admission
from services.chat.chat import Chat
from services.chat.errors import Unwelcome
from services.chat.extensions import Extension, Extensions
from services.chat.frames import Outlet
from services.chat.handshake import Handshake, read_handshake
from services.chat.limits import Limits
from services.chat.line import CLOSE_SECONDS, Line
from services.chat.metrics import ChatMetrics
from services.chat.parsing import Parsers
from services.chat.plain import PlainLine
from services.chat.protocol import Version, decode
from services.chat.rates import Rates
from services.chat.room import Rooms
from services.chat.session import Session
from services.chat.shared import Shared
from services.chat.takeover import take_over
from services.connections import take_refusal
from services.rate_limits import address_key
from services.tokens import Claims, Verifier
from services.web import HEALTH, client_address, json_response

# So many are told to reconnect at once; between two batches those who did get their turn.
DRAIN_BATCH = 500
DRAIN_PAUSE_SECONDS = 0.1
# A silent socket is closed at most this share of the idle time too late.
SWEEPS = 10
DAY = 24 * 3600
CLOSE_REASONS = frozenset({"idle", "session over", "account deleted", "restarting"})
# What a client has asked for is finished before it is told; longer than this is a database that is away.
SETTLE_SECONDS = 5.0


class Opened(Protocol):
    """Be an open socket, whoever reads it."""

    @property
    def session(self) -> Session:
        """The client's."""

    def end(self, code: WSCloseCode, reason: str) -> None:
        """Close it from our side."""

    def cut(self) -> None:
        """End it without a word."""

    async def ended(self) -> None:
        """Wait until it is gone."""


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
        owned: whether sockets are ours after the upgrade, or aiohttp's.

    Attributes:
        admission: decides who may open one.
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
        owned: bool = True,
    ) -> None:
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
        self.admission = Admission(
            verifier=verifier,
            origins=origins,
            limits=limits,
            handshakes=self._shared.rates.handshakes,
            metrics=metrics,
        )
        self._is_owner = owned
        # One for all: a method that is asked for is a new object each time.
        self._count_drop = metrics.dropped.inc
        self._parsers = Parsers(limits.frame_bytes)
        self._open: set[Opened] = set()
        self._leaving: set[asyncio.Task[None]] = set()
        self._sweep: asyncio.TimerHandle | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer GET /socket/websocket, where the greeter has not.

        Raises:
            Malformed: it is no websocket handshake that we can take.
            TooManyRequests: the user or the address connects too often, or has too many sockets open.
            Unavailable: this process is stopping, or full.
        """
        try:
            if refusal := take_refusal(request):
                raise refusal
            address = address_key(client_address(request))
            self.admission.check(address, request.app[HEALTH])
            handshake = read_handshake(request.headers, request.query)
            claims = self.admission.admit(handshake, address)
        except Unwelcome as error:
            return json_response({"error": {"code": error.code, "message": error.message}}, status=403)
        if self._is_owner:
            return self._take_over(request, claims, handshake, address)
        try:
            return await self._serve(request, claims, handshake)
        finally:
            self.admission.leave(claims.identity, address)

    def open(self, transport: asyncio.Transport, claims: Claims, version: Version, address: str) -> Line:
        """Make the socket of somebody who was let in; the connection is to be its own from now on."""
        outlet = self._make_outlet(transport)
        session = Session(shared=self._shared, claims=claims, version=version, outlet=outlet)
        line = Line(self, session, outlet, address, self._parsers)
        self._open.add(line)
        self._metrics.sockets.inc()
        if self._sweep is None:
            self._sweep_idle()
        return line

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
        self._shared.rooms.flush_all()
        for start in range(0, len(sockets), DRAIN_BATCH):
            if start:
                await asyncio.sleep(DRAIN_PAUSE_SECONDS)
            for opened in sockets[start : start + DRAIN_BATCH]:
                opened.end(WSCloseCode.SERVICE_RESTART, "restarting")
        if sockets:
            await asyncio.wait([asyncio.create_task(opened.ended()) for opened in sockets], timeout=SETTLE_SECONDS)
        for opened in tuple(self._open):
            opened.cut()
        if self._leaving:
            await asyncio.wait(self._leaving, timeout=SETTLE_SECONDS)

    def receive(self, line: Opened, data: str | bytes) -> bool:
        """Take a client's message; say whether it keeps to its rate.

        Raises:
            ProtocolError: it is none.
        """
        return self._receive(line.session, data)

    def closing(self, reason: str) -> None:
        """Count a close of ours."""
        self._metrics.closed.labels(reason if reason in CLOSE_REASONS else "no frame").inc()

    def ended(self, line: Line) -> None:
        """Forget a socket whose connection is gone, and finish what its client asked for."""
        self._open.discard(line)
        self._metrics.sockets.dec()
        self.admission.leave(line.session.identity, line.address)
        leaving = asyncio.get_running_loop().create_task(line.session.close())
        self._leaving.add(leaving)
        leaving.add_done_callback(self._leaving.discard)

    def _receive(self, session: Session, data: str | bytes) -> bool:
        return session.receive(decode(data, session.version, self._limits.payload_depth))

    def _take_over(
        self, request: web.Request, claims: Claims, handshake: Handshake, address: str
    ) -> web.StreamResponse:
        """Let the socket be ours from now on."""
        made: list[Line] = []

        def make_line(transport: asyncio.Transport) -> Line:
            made.append(self.open(transport, claims, handshake.version, address))
            return made[0]

        try:
            return take_over(request, handshake.subprotocols, make_line)
        finally:
            if not made:
                self.admission.leave(claims.identity, address)

    def _sweep_idle(self) -> None:
        """Close who has been silent for too long, and look again soon: one timer for all sockets of our own."""
        self._sweep = None
        if self._open:
            idle = self._limits.idle_seconds
            oldest = time.monotonic() - idle
            for line in [line for line in self._open if isinstance(line, Line) and line.heard < oldest]:
                line.end(WSCloseCode.GOING_AWAY, "idle")
            self._sweep = asyncio.get_running_loop().call_later(idle / SWEEPS, self._sweep_idle)

    def _make_outlet(self, transport: asyncio.Transport) -> Outlet:
        return Outlet(transport, most=self._limits.buffer_bytes, on_drop=self._count_drop)

    async def _serve(self, request: web.Request, claims: Claims, handshake: Handshake) -> web.WebSocketResponse:
        """Let the socket be aiohttp's."""
        socket = web.WebSocketResponse(
            protocols=handshake.subprotocols,
            # aiohttp refuses what reaches its limit.
            max_msg_size=self._limits.frame_bytes + 1,
            timeout=CLOSE_SECONDS,
            # One encoding serves a whole room, which a compressor with a memory of its own per socket rules out.
            compress=False,
        )
        await socket.prepare(request)
        transport = request.transport
        if transport is None:
            return socket
        outlet = self._make_outlet(transport)
        session = Session(shared=self._shared, claims=claims, version=handshake.version, outlet=outlet)
        line = PlainLine(
            socket=socket,
            transport=transport,
            session=session,
            outlet=outlet,
            receive=self._receive,
            idle=self._limits.idle_seconds,
        )
        self._open.add(line)
        self._metrics.sockets.inc()
        try:
            await line.pump(self.closing)
        finally:
            self._metrics.sockets.dec()
            self._open.discard(line)
            await session.close()
        return socket
