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
    """

    topic: str
    event: str
    payload: Any
    message_id: int = 0


@dataclass(frozen=True, slots=True)
class Cut:
    """End a person's channels in a room, on every socket.

    Attributes:
        topic: "room:<topic>".
        identity: whose.
    """

    topic: str
    identity: str


Note: TypeAlias = Told | Cut
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
