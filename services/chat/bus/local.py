"""Say what a bus does, and be the one of a process that is alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from services.chat.bus.notes import Arrived, Deliver, Gone, Note, PresenceNote

# Not a union, which would be made anew for each note.
_OF_PRESENCE = (Arrived, Gone)


class Bus(Protocol):
    """Take notes in, hand them out everywhere, those of one topic in one order."""

    def publish(self, note: Note) -> None:
        """Take a note; it never waits, whatever the transport behind it."""

    def reached(self, topic: str, room: int, message_id: int) -> None:
        """Learn how far a room has come, from whoever joins it.

        Args:
            topic: "room:<topic>".
            room: its id.
            message_id: the newest message that the joining client is not told any more.
        """


class LocalBus:
    """Hand notes to this process.

    Args:
        deliver: what takes those of rooms, as Rooms.deliver does.
        present: what takes those of presence, as Presence.deliver does.
    """

    def __init__(self, deliver: Deliver, present: Callable[[PresenceNote], None] | None = None) -> None:
        self._deliver = deliver
        self.present: Callable[[PresenceNote], None] = present or _ignore

    def publish(self, note: Note) -> None:
        """Deliver at once."""
        if isinstance(note, _OF_PRESENCE):
            self.present(note)
        else:
            self._deliver(note)

    def reached(self, topic: str, room: int, message_id: int) -> None:
        """Do nothing: what is stored here is told here."""


def _ignore(_note: PresenceNote) -> None:
    pass
