"""Carry what rooms are told to every process that has sockets in them; today that is this process alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias


@dataclass(frozen=True, slots=True)
class Told:
    """Tell everybody joined to a topic.

    Attributes:
        topic: "room:<topic>".
        event: the event's name.
        payload: a JSON object.
        message_id: of a stored message; what is not stored has 0.
        author: the member who said it, so that those who muted them are spared; 0 for nobody.
        but: the one listener that is not told. It lives in the process where this was said, so a bus that goes
            further leaves it out there.
    """

    topic: str
    event: str
    payload: Any
    message_id: int = 0
    author: int = 0
    but: object = None


@dataclass(frozen=True, slots=True)
class Cut:
    """End a person's channels in a room, on every socket.

    Attributes:
        topic: "room:<topic>".
        identity: whose.
    """

    topic: str
    identity: str


@dataclass(frozen=True, slots=True)
class Moved:
    """End everybody's channels in a room whose topic is another now; what is told to the old one later goes there.

    Attributes:
        topic: "room:<topic>", the old one.
        to: the new one.
    """

    topic: str
    to: str


@dataclass(frozen=True, slots=True)
class Mute:
    """Spare a person the words of others in a room, on all their channels in it.

    Attributes:
        topic: "room:<topic>".
        identity: whose channels.
        muted: the members whom they do not hear, from now on and until they are told again.
    """

    topic: str
    identity: str
    muted: frozenset[int]


Note: TypeAlias = Told | Cut | Moved | Mute
Deliver: TypeAlias = Callable[[Note], None]


class Bus(Protocol):
    """Take notes in, hand them out everywhere, those of one topic in the order in which they came in."""

    def publish(self, note: Note) -> None:
        """Take a note; it never waits, whatever the transport behind it."""


class LocalBus:
    """Hand notes to this process.

    Args:
        deliver: what takes them, as Rooms.deliver does.
    """

    def __init__(self, deliver: Deliver) -> None:
        self._deliver = deliver

    def publish(self, note: Note) -> None:
        """Deliver at once."""
        self._deliver(note)
