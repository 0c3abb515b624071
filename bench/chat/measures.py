"""Name what is measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Figure = Literal["deliveries_per_second", "messages_per_second", "p50", "joins_per_second", "kib_per_socket"]


@dataclass(frozen=True)
class Measure:
    """Describe a load on both sides and the figure that comes of it.

    Attributes:
        name: for the command line.
        what: for the table.
        figure: which of an outcome's.
        rooms: how many.
        size: clients in each.
        messages: that our side gets.
        peer_messages: that the peer gets: more where it is faster, so that both take seconds.
        event: what is sent.
        rate: messages a second; 0 for as fast as they come back.
        window: messages in flight of each worker.
        workers: of the generator.
        hold: seconds that idle sockets are held.
        fresh: whether the server starts anew for each run.
        compared: whether the peer runs too.
        target: what is asked for, in words.
    """

    name: str
    what: str
    figure: Figure
    rooms: int
    size: int
    messages: int = 0
    peer_messages: int = 0
    event: str = "shout"
    rate: float = 0.0
    window: int = 32
    workers: int = 1
    hold: float = 0.0
    fresh: bool = False
    compared: bool = True
    target: str = ""

    def shortened(self) -> Measure:
        """Return the same for a quick look."""
        rooms = max(1, self.rooms // 10) if self.rooms * self.size > 1000 else self.rooms  # noqa: PLR2004
        return replace(
            self, rooms=rooms, messages=self.messages // 5, peer_messages=self.peer_messages // 5, hold=self.hold / 5
        )


MEASURES = (
    Measure(
        "stored",
        "shouts into 5 rooms x 20, each committed before it is told; the peer stores nothing",
        "deliveries_per_second",
        rooms=5,
        size=20,
        messages=40_000,
        peer_messages=60_000,
        target=">= 0.75 x",
    ),
    Measure(
        "stored-2",
        "the same with two generators, 64 in flight",
        "deliveries_per_second",
        rooms=5,
        size=20,
        messages=40_000,
        peer_messages=60_000,
        workers=2,
    ),
    Measure(
        "fan-out",
        "whispers into 5 rooms x 20, stored on neither side",
        "deliveries_per_second",
        rooms=5,
        size=20,
        messages=60_000,
        peer_messages=60_000,
        event="whisper",
        target=">= 1.05 x",
    ),
    Measure(
        "fan-out-2",
        "the same with two generators, 64 in flight",
        "deliveries_per_second",
        rooms=5,
        size=20,
        messages=60_000,
        peer_messages=60_000,
        event="whisper",
        workers=2,
        target=">= 1.05 x",
    ),
    Measure(
        "fan-out-50",
        "whispers into 50 rooms x 20",
        "deliveries_per_second",
        rooms=50,
        size=20,
        messages=40_000,
        peer_messages=40_000,
        event="whisper",
        target=">= 1.0 x",
    ),
    Measure(
        "fan-out-50-2",
        "the same with two generators, 64 in flight",
        "deliveries_per_second",
        rooms=50,
        size=20,
        messages=40_000,
        peer_messages=40_000,
        event="whisper",
        workers=2,
        target=">= 1.2 x",
    ),
    Measure(
        "latency",
        "50 stored messages a second into a room of 20; the peer stores nothing",
        "p50",
        rooms=1,
        size=20,
        messages=300,
        peer_messages=300,
        rate=50,
        target="p50 < 1.8 ms, p99 < 3.0 ms",
    ),
    Measure(
        "latency-w",
        "50 whispers a second into a room of 20",
        "p50",
        rooms=1,
        size=20,
        messages=300,
        peer_messages=300,
        event="whisper",
        rate=50,
        target="p50 < the peer's",
    ),
    Measure(
        "connect",
        "connect and join, 1,000 sockets in 50 rooms; the peer asks nobody who they are",
        "joins_per_second",
        rooms=50,
        size=20,
        target=">= 0.8 x",
    ),
    Measure(
        "memory",
        "memory of an idle joined socket, 1,000 of them, fresh server",
        "kib_per_socket",
        rooms=50,
        size=20,
        hold=5,
        fresh=True,
        target="< 4 KiB",
    ),
    Measure(
        "memory-10k",
        "the same, 10,000 of them",
        "kib_per_socket",
        rooms=500,
        size=20,
        hold=5,
        fresh=True,
        workers=2,
        target="< 4 KiB",
    ),
    Measure(
        "ten-thousand",
        "10,000 sockets on one process in 500 rooms: all join, then 200 stored shouts a second",
        "deliveries_per_second",
        rooms=500,
        size=20,
        messages=4_000,
        rate=200,
        workers=2,
        hold=5,
        fresh=True,
        compared=False,
        target="no loss",
    ),
)
