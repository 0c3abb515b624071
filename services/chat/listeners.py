"""Look again whether everybody who listens to a room may, when the bus may have kept something from us."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from services.chat.bus import Cut, Mute
from services.chat.room import Rooms
from services.errors import RequestError

BATCH = 500
RETRY_SECONDS = 1.0

# An identity and a topic each; with whom they do not hear, or None for who takes no part any more.
FindSeats: TypeAlias = Callable[
    [Sequence[tuple[str, str]]], Awaitable[Sequence[tuple[str, str, frozenset[int] | None]]]
]
logger = logging.getLogger(__name__)


class Listeners:
    """Put those out who have left meanwhile, and spare the others whom they have blocked meanwhile.

    Args:
        rooms: where they listen.
        find_seats: asks the database.
    """

    def __init__(self, rooms: Rooms, find_seats: FindSeats) -> None:
        self._rooms = rooms
        self._find_seats = find_seats
        self._is_due = False
        self._task: asyncio.Task[None] | None = None

    def check(self) -> None:
        """Look soon; a look that is under way is followed by another."""
        self._is_due = True
        if self._task is None:
            # A context of its own: it belongs to no request.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def close(self) -> None:
        """Look no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._is_due:
                self._is_due = False
                try:
                    await self._look()
                except RequestError as error:
                    logger.warning("listeners were not looked at", extra={"fields": {"reason": str(error)}})
                    self._is_due = True
                    await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1))  # noqa: S311  # no secret
        except Exception:
            logger.exception("looking at the listeners failed")
        finally:
            self._task = None

    async def _look(self) -> None:
        listening = sorted(self._rooms.joined())
        for start in range(0, len(listening), BATCH):
            for identity, topic, muted in await self._find_seats(listening[start : start + BATCH]):
                note = Cut(topic, identity) if muted is None else Mute(topic, identity, muted)
                self._rooms.deliver(note)
