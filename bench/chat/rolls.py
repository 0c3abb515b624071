"""Ask what it costs a replica to hear who is with another one: its own task, apart from sockets and from the bus."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence

from bench.chat.ground import Ground, Row
from bench.chat.machine import resident_kib
from services.chat.bus import Arrived, tell_message
from services.chat.bus.frames import Frame, Roll, encode_note, pack, write
from services.chat.bus.order import Order
from services.chat.bus.shared import SharedBus
from services.chat.features.presence import Presence
from services.chat.models import ChatMessage
from services.database import Connection

STAYS = 100_000
MOST_SHOWN = 200


class _NoLink:
    """Carry nothing: frames are put into the bus by hand."""

    max_bytes = 1 << 20
    notified = None

    def send(self, frame: bytes) -> None:
        """Drop it."""

    async def announce(self, connection: Connection, frames: Sequence[bytes]) -> None:
        """Do nothing."""

    async def run(self, hearer: object) -> None:
        """Bring nothing."""

    async def check(self) -> None:
        """Be well."""

    async def close(self) -> None:
        """Have nothing to send."""


def measure_rolls(ground: Ground) -> list[Row]:
    """Ask what each stay in another replica's roll costs."""
    return asyncio.run(_measure(ground.of(STAYS)))


async def _measure(count: int) -> list[Row]:
    bus = SharedBus(_NoLink(), _ignore, Order(_ignore, _read, tell_message))
    bus.present = Presence(MOST_SHOWN, bus.publish).deliver
    rows, number = [], 0
    for what, to in (("new to it", ""), ("known to it", ""), ("for another replica", "another")):
        frames = _roll(count, number, to)
        number += len(frames)
        before, started = resident_kib(os.getpid()), time.process_time()
        for frame in frames:
            bus.receive(frame)
        used, grown = time.process_time() - started, resident_kib(os.getpid()) - before
        figures: dict[str, float | str] = {
            "stays": count,
            "us/stay": round(used / count * 1e6, 2),
            "KiB/stay": round(grown / count, 2),
            "bytes/stay": round(sum(map(len, frames)) / count),
        }
        rows.append(Row(what, figures))
    return rows


def _roll(count: int, number: int, to: str) -> list[bytes]:
    """Write a roll of sockets in rooms of 20, as a replica would."""
    stays = (Arrived(f"room:a-topic-{n // 20}", f"somebody_{n}", n, (1 << 60) + n, 1_764_400_000) for n in range(count))
    notes = [encode_note(Roll(is_over=False)), *map(encode_note, stays), encode_note(Roll(is_over=True))]
    parts = pack(notes, _NoLink.max_bytes)
    whole = (Frame("there", number + place, notes=part, to=to) for place, part in enumerate(parts, 1))
    return [raw for frame in whole for raw in write(frame, _NoLink.max_bytes)]


async def _read(rooms: Sequence[tuple[int, int]], most: int) -> list[ChatMessage]:
    del rooms, most
    return []


def _ignore(_note: object) -> None:
    pass
