"""Keep what waits to be stored in the order of each room, and say what may be stored next."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

from services.chat.models import Draft, Stored
from services.errors import Unavailable
from services.tracing import Span

# The time of a commit grows with its rows; at this many it is still under 2 ms.
MAX_BATCH = 128
# Other changes under way, each on a connection of its own.
MAX_CHANGES = 4
MAX_WAITING = 10_000
# Rounds under way at once; two whenever there is enough for two took a third more of the database, and was no faster.
MAX_ROUNDS = 2
# After so long a round may be waiting for a lock, and others are no longer kept waiting for it.
SLOW_SECONDS = 0.02

Result: TypeAlias = Stored | Literal["known"] | None
# Called once, with what the store says of a message, or with the error.
Done: TypeAlias = Callable[[Result, Exception | None], None]


@dataclass(eq=False, slots=True)
class Said:
    """Be a message, and who is to be told what became of it.

    Attributes:
        topic: "room:<topic>".
        room: its id, which stays when the topic changes.
        draft: the message.
        done: called back.
        span: of the trace that it belongs to.
    """

    topic: str
    room: int
    draft: Draft
    done: Done
    span: Span


@dataclass(eq=False, slots=True)
class Change:
    """Be other work on a room, and who waits for its result."""

    topic: str
    work: Callable[[], Awaitable[Any]]
    done: asyncio.Future[Any]


@dataclass(eq=False, slots=True)
class Round:
    """Be a batch of messages, of whatever rooms have some to be stored now."""

    said: list[Said] = field(default_factory=list)
    topics: set[str] = field(default_factory=set)
    rooms: set[int] = field(default_factory=set)


class Turns:
    """Hand out rounds and changes; of a room that one of them has in hand, no other gets anything."""

    def __init__(self) -> None:
        self._waiting: dict[str, deque[Said | Change]] = {}
        self._count = 0
        self._topics: set[str] = set()
        # A room that got another topic is the same room still.
        self._rooms: set[int] = set()
        self._changing = 0

    def __len__(self) -> int:
        return self._count

    def put(self, item: Said | Change) -> None:
        """Let something wait for its turn.

        Raises:
            Unavailable: too much is waiting.
        """
        if self._count >= MAX_WAITING:
            raise Unavailable("Too much is waiting to be stored; try again soon.", code="overloaded")
        topic = item.topic
        waiting = self._waiting.get(topic)
        if waiting is None:
            waiting = self._waiting[topic] = deque()
        waiting.append(item)
        self._count += 1

    def take(self) -> tuple[Round, list[Change]]:
        """Hand out what may be carried out now, which has to come back by give_back(): a round, and changes.

        They are of different rooms. A round without messages, and no change, is all there is for now.
        """
        taken = Round()
        changes: list[Change] = []
        for topic in list(self._waiting):
            if len(taken.said) >= MAX_BATCH:
                break
            if topic not in self._topics:
                self._take_of(topic, taken, changes)
        return taken, changes

    def give_back(self, done: Round | Change) -> None:
        """Let its rooms have their next turn."""
        if isinstance(done, Change):
            self._topics.discard(done.topic)
            self._changing -= 1
        else:
            self._topics -= done.topics
            self._rooms -= done.rooms

    def _take_of(self, topic: str, taken: Round, changes: list[Change]) -> None:
        """Take what a room says before its next change, or that change."""
        waiting = self._waiting[topic]
        before = len(waiting)
        first = waiting[0]
        if isinstance(first, Change):
            if self._changing >= MAX_CHANGES:
                return
            self._changing += 1
            changes.append(first)
            waiting.popleft()
        else:
            if first.room in self._rooms:
                return
            self._rooms.add(first.room)
            taken.rooms.add(first.room)
            taken.topics.add(topic)
            while waiting and isinstance(item := waiting[0], Said) and len(taken.said) < MAX_BATCH:
                taken.said.append(item)
                waiting.popleft()
        self._topics.add(topic)
        self._count -= before - len(waiting)
        # Whatever a room that never stops has left waits behind the others.
        del self._waiting[topic]
        if waiting:
            self._waiting[topic] = waiting
