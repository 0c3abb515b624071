"""Gather what happens in a room for a moment, so that a flood of it is told in few messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

# Nobody sees a difference of so little, and ten messages a second bother no client.
SECONDS = 0.1


class Gathering:
    """Call back a moment after the first of many things, once for all of them.

    Args:
        flush: called with a topic; it says whether something is left for the next moment.
        seconds: of a moment.
    """

    def __init__(self, flush: Callable[[str], bool], *, seconds: float = SECONDS) -> None:
        self._flush = flush
        self._seconds = seconds
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def touch(self, topic: str) -> None:
        """See to it that the topic's moment ends soon."""
        if topic not in self._timers:
            loop = asyncio.get_running_loop()
            self._timers[topic] = loop.call_later(self._seconds, self._end, topic)

    def close(self) -> None:
        """Call nobody back any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()

    def _end(self, topic: str) -> None:
        del self._timers[topic]
        if self._flush(topic):
            self.touch(topic)
