"""Know which channels of this process are in which room, and tell them: all of a millisecond in one write.

A system call for each message and socket is most of what a fan-out costs, for those who read it too. So a room in which
much is said is told a millisecond later, in one piece to each socket. It is told before that when there is much of it,
when somebody comes or leaves, and when a reply follows that must come after it. Where little is said in a room, it is
told after the loop's turn, with the others, so that those who read are woken once; and a message that comes alone waits
for nothing. A crowd is told a part at a time, since ten thousand writes are a tenth of a second or more in which nobody
else is served; what is said in it meanwhile goes out together, once all have heard what was said before.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable
from typing import Protocol

from services.chat.batch import Batch, Line
from services.chat.bus import ALWAYS, Cut, Moved, Mute, RoomNote, Told
from services.chat.crowd import CROWD, Telling
from services.chat.protocol import Version, encode_payload

# Rooms that moved a while ago are told nothing under their old topic any more.
MAX_MOVED = 1000
# One flooding sender must not fill everybody's buffers meanwhile.
MAX_BYTES = 64 * 1024
# A room that has heard nothing for so long is told when the loop's turn is over.
QUIET_SECONDS = 0.005
# Any other waits for so long, since the loop's timers know no less. Where no room was told anything for so long, none
# waits at all.
GATHER_SECONDS = 0.001

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Be one channel of one socket, as a room sees it."""

    @property
    def version(self) -> Version:
        """The serializer of its socket."""

    @property
    def identity(self) -> str:
        """The person behind it."""

    @property
    def muted(self) -> frozenset[int]:
        """The members whose words it does not want."""

    @property
    def is_joined(self) -> bool:
        """Whether its join went well; until then it listens, and hears nothing yet."""

    def hear(self, batch: Batch) -> int:
        """Take what is for it of a batch, and say how much that is; it must neither wait nor raise."""

    def mute(self, member_ids: frozenset[int]) -> None:
        """Want no words of these members from now on."""

    def cut(self, message_id: int) -> None:
        """End, and leave: the person takes no part any more, unless they joined after this message."""


class _Room:
    """Be the listeners of a topic, and what they are still to be told."""

    __slots__ = ("lines", "listeners", "size", "telling", "told_at", "topic")

    def __init__(self, topic: str) -> None:
        self.topic = topic
        # A dict keeps the order of entering and removes at once, which a set and a list do not both.
        self.listeners: dict[Listener, None] = {}
        self.lines: list[Line] = []
        self.size = 0
        # What a crowd is being told; the lines are behind it.
        self.telling: Telling | None = None
        # By the clock.
        self.told_at = 0.0


class Rooms:
    """Hold the rooms that have somebody in them, here.

    Args:
        on_tell: called with the number of channels that a broadcast went to.
        clock: seconds that only grow.

    Attributes:
        on_empty: called with the topic of a room that the last one has left.
    """

    def __init__(self, on_tell: Callable[[int], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._on_tell = on_tell
        self._clock = clock
        self.on_empty: Callable[[str], None] = _ignore
        self._rooms: dict[str, _Room] = {}
        self._moved: dict[str, str] = {}
        # When any room was told something.
        self._told_at = 0.0
        # Rooms that are told something when the loop's turn is over, and when the timer ends.
        self._soon: list[_Room] = []
        self._due: list[_Room] = []

    def enter(self, topic: str, listener: Listener) -> str:
        """Let a channel hear what the topic is told from now on; return the room's own copy of the topic."""
        room = self._rooms.get(topic)
        if room is None:
            room = self._rooms[topic] = _Room(topic)
        self._flush(room)
        room.listeners[listener] = None
        return room.topic

    def leave(self, topic: str, listener: Listener) -> None:
        """Let a channel hear no more; leaving twice is fine."""
        room = self._rooms.get(topic)
        if room is not None:
            self._flush(room)
            room.listeners.pop(listener, None)
            if not room.listeners:
                self._rooms.pop(topic, None)
                self.on_empty(topic)

    def flush(self, topic: str) -> None:
        """Tell a room now what it is to be told, since something follows that must come after it."""
        room = self._rooms.get(topic)
        if room is not None:
            self._flush(room)

    def flush_all(self) -> None:
        """Tell all rooms now what they are to be told."""
        self._each(self._flush, tuple(self._rooms.values()))

    def deliver(self, note: RoomNote) -> None:
        """Carry out a note of the bus."""
        match note:
            case Told():
                self._tell(note)
            case Cut():
                self._cut(note)
            case Moved():
                self._move(note)
            case Mute():
                self._mute(note)

    def _tell(self, told: Told) -> None:
        topic = told.topic
        while topic in self._moved:
            topic = self._moved[topic]
        room = self._rooms.get(topic)
        if room is None:
            return
        raw = encode_payload(told.payload)
        if not room.lines:
            now = self._clock()
            if now - self._told_at > GATHER_SECONDS:
                room.lines.append((told, raw))
                self._begin(room)
                return
            if now - room.told_at > QUIET_SECONDS:
                if not self._soon:
                    asyncio.get_running_loop().call_soon(self._begin_soon)
                self._soon.append(room)
            else:
                if not self._due:
                    asyncio.get_running_loop().call_later(GATHER_SECONDS, self._begin_due)
                self._due.append(room)
        room.lines.append((told, raw))
        room.size += len(memoryview(raw))
        if room.size >= MAX_BYTES:
            self._flush(room)

    def _begin_due(self) -> None:
        due, self._due = self._due, []
        self._begin_soon()
        self._each(self._begin, due)

    def _begin_soon(self) -> None:
        soon, self._soon = self._soon, []
        self._each(self._begin, soon)

    def _each(self, act: Callable[[_Room], None], rooms: Iterable[_Room]) -> None:
        for room in rooms:
            try:
                act(room)
            except Exception:
                # The other rooms must be told all the same.
                logger.exception("a room could not be told")

    def _begin(self, room: _Room) -> None:
        """Tell a room what has gathered; of a crowd a part, and the others in the next turns of the loop."""
        if not room.lines or room.telling is not None:
            return
        batch, room.lines, room.size = Batch(room.topic, room.lines), [], 0
        room.told_at = self._told_at = self._clock()
        # A copy, since a listener that is too slow leaves while it is told.
        listeners = tuple(room.listeners)
        if len(listeners) <= CROWD:
            self._on_tell(sum([listener.hear(batch) for listener in listeners]))
        else:
            room.telling = telling = Telling(batch, listeners)
            self._go_on(room, telling)

    def _go_on(self, room: _Room, telling: Telling) -> None:
        """Tell some more of a crowd, if it has not been told all meanwhile."""
        if room.telling is not telling:
            return
        try:
            self._on_tell(telling.tell(CROWD))
        finally:
            if telling.is_over:
                room.telling = None
                self._begin(room)
            else:
                asyncio.get_running_loop().call_soon(self._go_on, room, telling)

    def _flush(self, room: _Room) -> None:
        """Tell a room all, now; who leaves because of what they are being told leaves the others as they are."""
        while room.telling is not None or room.lines:
            telling = room.telling
            if telling is None:
                self._begin(room)
            elif telling.is_speaking:
                return
            else:
                try:
                    self._on_tell(telling.tell())
                finally:
                    room.telling = None

    def _cut(self, cut: Cut) -> None:
        for listener in self._listeners(cut.topic):
            if listener.identity == cut.identity:
                listener.cut(cut.message_id)

    def _move(self, moved: Moved) -> None:
        # What was waiting to be stored when the room moved still names its old topic.
        self._moved[moved.topic] = moved.to
        if len(self._moved) > MAX_MOVED:
            del self._moved[next(iter(self._moved))]
        for listener in self._listeners(moved.topic):
            self.leave(moved.topic, listener)
            listener.cut(ALWAYS)

    def _mute(self, mute: Mute) -> None:
        for listener in self._listeners(mute.topic):
            if listener.identity == mute.identity:
                listener.mute(mute.muted)

    def identities(self, topic: str) -> set[str]:
        """Return who is in a room with a live socket, here."""
        return {listener.identity for listener in self._listeners(topic) if listener.is_joined}

    def joined(self) -> set[tuple[str, str]]:
        """Return who is where: an identity and a topic each."""
        return {
            (listener.identity, topic)
            for topic, room in self._rooms.items()
            for listener in room.listeners
            if listener.is_joined
        }

    def _listeners(self, topic: str) -> tuple[Listener, ...]:
        room = self._rooms.get(topic)
        return () if room is None else tuple(room.listeners)

    def __len__(self) -> int:
        return len(self._rooms)


def _ignore(_topic: str) -> None:
    pass
