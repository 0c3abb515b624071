"""Count the connections of a port, and cut those that are too many, or too slow to say what they want."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from services.port_settings import ConnectionSettings

# Of too many that have said nothing some go after so long. Who has just come may have said it where we have not read
# yet: after a restart thousands come at once, all are taken before any is read, and 10,000 need two seconds to speak.
CROWD_SECONDS = 3.0
# The least that is more than none: a timer without a delay runs in this very turn, before anything is read.
NEXT_TURN_SECONDS = 0.001

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Watch:
    """Take note of connections, for metrics.

    Attributes:
        opened: called with the number of open connections whenever it changes.
        refused: called with the reason of a connection that is cut.
    """

    opened: Callable[[int], None]
    refused: Callable[[str], None]


class Caller(Protocol):
    """Be a connection, as the door sees it."""

    def cut(self) -> None:
        """End at once."""


class Door:
    """Know the connections of one port, and cut those that are too many or too slow.

    Args:
        settings: how many and how long.
        watch: what takes note.
    """

    def __init__(self, settings: ConnectionSettings, watch: Watch) -> None:
        self._settings = settings
        self._watch = watch
        self._open = 0
        # Connections that owe us a request's head, the longest first, and until when each has time.
        self._waiting: dict[Caller, float] = {}
        # One timer for all of them: most say what they want long before it, and cost no more than their line above.
        self._watching: asyncio.TimerHandle | None = None
        self._thinning: asyncio.TimerHandle | None = None

    def enter(self, caller: Caller) -> None:
        """Let a connection in, or cut it when the port is full."""
        self._open += 1
        self._watch.opened(self._open)
        if self._open > self._settings.most:
            self._cut(caller, "full")
        else:
            self.expect(caller)

    def expect(self, caller: Caller) -> None:
        """Wait for a request's head; a connection that waits already has the time that it has left."""
        if caller in self._waiting:
            return
        loop = asyncio.get_running_loop()
        self._waiting[caller] = until = loop.time() + self._settings.head_seconds
        if self._watching is None:
            self._watching = loop.call_at(until, self._cut_slow)
        self._watch_crowd()

    def heard(self, caller: Caller) -> None:
        """Wait no more: the head is there."""
        self._waiting.pop(caller, None)

    def leave(self, caller: Caller) -> None:
        """Forget a connection that has ended, or that is somebody else's now."""
        self.heard(caller)
        self._open -= 1
        self._watch.opened(self._open)

    def _cut_slow(self) -> None:
        self._watching = None
        loop = asyncio.get_running_loop()
        for caller, until in tuple(self._waiting.items()):
            if until > loop.time():
                self._watching = loop.call_at(until, self._cut_slow)
                return
            self._cut(caller, "slow")

    def _watch_crowd(self) -> None:
        if self._thinning is None and len(self._waiting) > self._settings.most_waiting:
            self._thinning = asyncio.get_running_loop().call_later(CROWD_SECONDS, self._choose)

    def _choose(self) -> None:
        """Note who waits now: a turn of the loop from here whatever they have said is read, and no newcomer's is."""
        waiting = tuple(self._waiting)
        self._thinning = asyncio.get_running_loop().call_later(NEXT_TURN_SECONDS, self._thin_out, waiting)

    def _thin_out(self, chosen: Sequence[Caller]) -> None:
        self._thinning = None
        silent = [caller for caller in chosen if caller in self._waiting]
        for caller in silent[: max(0, len(self._waiting) - self._settings.most_waiting)]:
            self._cut(caller, "crowded")
        self._watch_crowd()

    def _cut(self, caller: Caller, reason: str) -> None:
        self.heard(caller)
        self._watch.refused(reason)
        logger.debug("a connection is cut", extra={"fields": {"reason": reason}})
        caller.cut()
