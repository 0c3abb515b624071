"""Know which channels of this process are in which room, and tell them, one encoding for all of a serializer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from services.chat.bus import Cut, Moved, Note, Told
from services.chat.frames import pack
from services.chat.protocol import Broadcast, Version, encode

# Rooms that moved a while ago are told nothing under their old topic any more.
MAX_MOVED = 1000


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

    def tell(self, told: Told, frame: bytes) -> None:
        """Take one broadcast, ready for the wire; it must neither wait nor raise."""

    def cut(self) -> None:
        """End: the person takes no part in the room any more."""


class Rooms:
    """Hold the rooms that have somebody in them, here.

    Args:
        on_tell: called with the number of channels that a broadcast went to.
    """

    def __init__(self, on_tell: Callable[[int], None]) -> None:
        self._on_tell = on_tell
        # A dict keeps the order of entering and removes at once, which a set and a list do not both.
        self._rooms: dict[str, dict[Listener, None]] = {}
        self._moved: dict[str, str] = {}

    def enter(self, topic: str, listener: Listener) -> None:
        """Let a channel hear what the topic is told from now on."""
        self._rooms.setdefault(topic, {})[listener] = None

    def leave(self, topic: str, listener: Listener) -> None:
        """Let a channel hear no more; leaving twice is fine."""
        room = self._rooms.get(topic)
        if room is not None:
            room.pop(listener, None)
            if not room:
                del self._rooms[topic]

    def deliver(self, note: Note) -> None:
        """Carry out a note of the bus."""
        match note:
            case Told():
                self._tell(note)
            case Cut():
                self._cut(note)
            case Moved():
                self._move(note)

    def _tell(self, told: Told) -> None:
        while told.topic in self._moved:
            told = replace(told, topic=self._moved[told.topic])
        frames: dict[Version, bytes] = {}
        # A copy, since a listener that is too slow leaves while it is told.
        count, but, author = 0, told.but, told.author
        for listener in tuple(self._rooms.get(told.topic, ())):
            if listener is but or author in listener.muted:
                continue
            frame = frames.get(listener.version)
            if frame is None:
                frame = pack(encode(Broadcast(told.topic, told.event, told.payload), listener.version))
                frames[listener.version] = frame
            listener.tell(told, frame)
            count += 1
        self._on_tell(count)

    def _cut(self, cut: Cut) -> None:
        for listener in tuple(self._rooms.get(cut.topic, ())):
            if listener.identity == cut.identity:
                self.leave(cut.topic, listener)
                listener.cut()

    def _move(self, moved: Moved) -> None:
        # What was waiting to be stored when the room moved still names its old topic.
        self._moved[moved.topic] = moved.to
        if len(self._moved) > MAX_MOVED:
            del self._moved[next(iter(self._moved))]
        for listener in tuple(self._rooms.get(moved.topic, ())):
            self.leave(moved.topic, listener)
            listener.cut()

    def identities(self, topic: str) -> set[str]:
        """Return who is in a room with a live socket, here."""
        return {listener.identity for listener in self._rooms.get(topic, ()) if listener.is_joined}

    def __len__(self) -> int:
        return len(self._rooms)
