"""Let a commit tell the other replicas what it stores, where the link is the database's own."""

from __future__ import annotations

from collections.abc import Sequence

from services.chat.bus import frames
from services.chat.bus.frames import Frame
from services.chat.bus.link import Link
from services.chat.bus.notes import RoomNote
from services.database import Connection


class Commits:
    """Know what a commit has to do for the others.

    Args:
        link: to them; none where there are none.
        origin: names this process, in its life.

    Attributes:
        is_shared: whether others write into the same rooms, so that a room's writers have to take turns.
        notified: the channel that a commit of messages notifies, where the link is transactional.
    """

    def __init__(self, link: Link | None = None, origin: str = "") -> None:
        self._link = link
        self.origin = origin
        self.is_shared = link is not None
        self.notified = None if link is None else link.notified

    async def announce(self, connection: Connection, notes: Sequence[RoomNote]) -> None:
        """Let a transaction carry notes, so that they are told if it commits and only then.

        They are published once it has committed all the same: that tells the sockets of this process, and the others
        where the link is not the database's.
        """
        if self._link is None or not self.notified:
            return
        most = self._link.max_bytes
        packed = frames.pack([frames.encode_note(note) for note in notes], most)
        written = [raw for part in packed for raw in frames.write(Frame(self.origin, notes=part), most)]
        await self._link.announce(connection, written)
