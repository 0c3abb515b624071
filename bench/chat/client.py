"""Be one websocket client that counts what it is told."""

from __future__ import annotations

import asyncio
import re
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from urllib.parse import quote

import picows

from bench.chat.wires import Kind, RefusedError, Wire

# What every body begins with: room, sequence in the room, and when it was sent.
_MARK = re.compile(rb"~(\d+)\.(\d+)\.(\d+)~")
HANDSHAKE_SECONDS = 30
now = time.monotonic_ns


@dataclass
class Counts:
    """Count what the clients of a worker see.

    Attributes:
        delivered: messages that came to a client the first time.
        twice: the same again.
        astray: in a room that it was not said in, or that nobody said.
        failed: error replies, and channels that ended.
        dropped: sockets that the server closed.
        last: when the last delivery came.
        waits: nanoseconds from each sending to each delivery.
        why: the first few refusals, to show.
    """

    delivered: int = 0
    twice: int = 0
    astray: int = 0
    failed: int = 0
    dropped: int = 0
    last: int = 0
    waits: array[int] = field(default_factory=lambda: array("q"))
    why: list[str] = field(default_factory=list)


class Client(picows.WSListener):  # type: ignore[misc]  # picows is in the generator's own environment
    """Be one client of one room.

    Args:
        wire: what the server speaks.
        room: the room's number.
        topic: the room's name.
        said: how many messages the room will get.
        padding: what fills the body of what it says.
        counts: of the worker.
        on_own: called when a message of its own is back.
        is_own: tells by the sequence whether a message is its own.
    """

    def __init__(
        self,
        wire: Wire,
        *,
        room: int,
        topic: str,
        said: int,
        padding: str,
        counts: Counts,
        on_own: Callable[[], None],
        is_own: Callable[[int], bool],
    ) -> None:
        self._wire = wire
        self._room = room
        self._topic = topic
        self._seen = bytearray(said)
        self._padding = padding
        self._counts = counts
        self._on_own = on_own
        self._is_own = is_own
        self._is_in = False
        self._ref = 1
        self._transport: picows.WSTransport | None = None
        self.is_leaving = False
        self.entered: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def connect(self, url: str, token: str) -> None:
        """Connect and join.

        Raises:
            RefusedError: the server does not let it in.
        """
        await picows.ws_connect(
            lambda: self,
            url.replace("{token}", quote(token, safe="")),
            websocket_handshake_timeout=HANDSHAKE_SECONDS,
            enable_auto_pong=True,
            enable_auto_ping=False,
            use_aiofastnet=False,
        )
        await asyncio.wait_for(self.entered, HANDSHAKE_SECONDS)

    def say(self, sequence: int) -> None:
        """Say the room's message of this sequence."""
        self._ref += 1
        body = f"~{self._room}.{sequence}.{now()}~{self._padding}"
        self._send(self._wire.publish(self._topic, self._ref, body))

    def beat(self) -> None:
        """Stay connected."""
        self._ref += 1
        frame = self._wire.heartbeat(self._ref)
        if frame is not None:
            self._send(frame)

    def leave(self) -> None:
        """Disconnect."""
        self.is_leaving = True
        if self._transport is not None:
            self._transport.disconnect()

    def on_ws_connected(self, transport: picows.WSTransport) -> None:
        """Say hello."""
        self._transport = transport
        self._send(self._wire.greet(self._topic))

    def on_ws_frame(self, transport: picows.WSTransport, frame: picows.WSFrame) -> None:
        """Take a frame."""
        if frame.msg_type == picows.WSMsgType.TEXT:
            data = frame.get_payload_as_bytes()
            if self._is_in:
                self._take(data)
            else:
                self._enter(data)
        elif frame.msg_type == picows.WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: picows.WSTransport) -> None:
        """Count what was not to be."""
        del transport
        # Who was not in yet is refused, which is counted where it is tried.
        if self._is_in and not self.is_leaving:
            self._counts.dropped += 1
        self._refuse("closed before it was in")

    def _send(self, frame: bytes) -> None:
        if self._transport is not None:
            self._transport.send(picows.WSMsgType.TEXT, frame)

    def _enter(self, data: bytes) -> None:
        try:
            answer = self._wire.enter(self._topic, data)
        except RefusedError as error:
            self._refuse(str(error))
            return
        if isinstance(answer, bytes):
            self._send(answer)
        elif answer and not self.entered.done():
            self._is_in = True
            self.entered.set_result(None)

    def _refuse(self, why: str) -> None:
        if not self.entered.done():
            self.entered.set_exception(RefusedError(why))

    def _take(self, data: bytes) -> None:
        kind = self._wire.kind_of(data)
        if kind is Kind.DELIVERY:
            self._count(data)
        elif kind is Kind.PING:
            self._send(data)
        elif kind is Kind.FAILURE:
            self._counts.failed += 1
            if len(self._counts.why) < 3:  # noqa: PLR2004  # enough to show
                self._counts.why.append(data[:200].decode(errors="replace"))

    def _count(self, data: bytes) -> None:
        counts, moment = self._counts, now()
        for mark in _MARK.finditer(data):
            room, sequence = int(mark[1]), int(mark[2])
            if room != self._room or sequence >= len(self._seen):
                counts.astray += 1
            elif self._seen[sequence]:
                counts.twice += 1
            else:
                self._seen[sequence] = 1
                counts.delivered += 1
                counts.last = moment
                counts.waits.append(moment - int(mark[3]))
                if self._is_own(sequence):
                    self._on_own()
