"""Hear what a link brings."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from services.chat.bus.link import Link

SECONDS = 60


@dataclass
class Ear:
    """Stand where SharedBus stands.

    Attributes:
        frames: what came.
        events: "opened" and "closed", as they came.
        on_closed: called when the link is down.
    """

    frames: list[bytes] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    on_closed: Callable[[], None] = lambda: None

    def receive(self, frame: bytes) -> None:
        self.frames.append(frame)

    def opened(self) -> None:
        self.events.append("opened")

    def closed(self) -> None:
        self.events.append("closed")
        self.on_closed()

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(SECONDS):
            while not condition():  # noqa: ASYNC110  # it is no event of ours
                await asyncio.sleep(0.005)

    async def was_opened(self, times: int = 1) -> None:
        """Wait until the link is up for the first time, or the second."""
        await self.until(lambda: self.events.count("opened") >= times)

    async def was_closed(self) -> None:
        """Wait until the link is down for the first time."""
        await self.until(lambda: "closed" in self.events)

    async def has_had(self, count: int) -> None:
        """Wait until so many have come."""
        await self.until(lambda: len(self.frames) >= count)

    async def has(self, *frames: bytes) -> None:
        """Wait until all of them have come."""
        await self.until(lambda: set(frames) <= set(self.frames))


@asynccontextmanager
async def running(link: Link) -> AsyncIterator[Ear]:
    """Run a link, with an ear of its own."""
    ear = Ear()
    task = asyncio.create_task(link.run(ear))
    try:
        yield ear
    finally:
        task.cancel()
        await asyncio.wait([task], timeout=SECONDS)
        assert task.cancelled()
