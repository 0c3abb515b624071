"""Be one channel of one socket in its room: it hears, holds back while it joins, and ends once."""

from __future__ import annotations

from typing import Protocol

from services.chat.batch import Batch
from services.chat.bus import Told
from services.chat.connection import Channel
from services.chat.frames import Outlet
from services.chat.models import Seat
from services.chat.protocol import Message, Version

# Told while the database is asked whether somebody may join; more than this is a room that nobody could follow.
MAX_HELD = 1000
NOBODY: frozenset[int] = frozenset()


class Ears(Protocol):
    """Be the socket behind a channel."""

    identity: str
    version: Version
    outlet: Outlet

    def abort(self) -> None:
        """Drop the client, which cannot follow."""

    def end(self, subscription: Subscription) -> None:
        """Close a channel from the server's side."""


class Subscription:
    """Listen to a room for one channel; what is told while its join is under way is held back.

    Args:
        session: of the socket.
        channel: of the join.

    Attributes:
        inbox: the client's messages that are not carried out yet, the one under way included; None for a shout that the
            writer has in hand.
        seat: the member's place in the room, once that is known and while it counts.
        muted: the members whose words it does not want.
        hears_itself: whether it is told its own whispers.
        is_over: whether the channel has ended.
        greeting: whether the features have been told of it, and are done with that.
    """

    __slots__ = (
        "_after",
        "_cut_at",
        "_held",
        "channel",
        "greeting",
        "hears_itself",
        "inbox",
        "is_over",
        "muted",
        "seat",
        "session",
    )

    def __init__(self, session: Ears, channel: Channel) -> None:
        self.session = session
        self.channel = channel
        # Empty, a list takes a tenth of a deque; it holds few, so taking the first out costs nothing.
        self.inbox: list[Message | None] = []
        self.seat: Seat | None = None
        self.muted = NOBODY
        self.hears_itself = False
        self.is_over = False
        self.greeting: bool | None = None
        self._held: list[tuple[Told, bytes]] | None = []
        self._after = 0
        self._cut_at = 0

    @property
    def version(self) -> Version:
        """The serializer of the socket."""
        return self.session.version

    @property
    def identity(self) -> str:
        """The person behind the socket."""
        return self.session.identity

    @property
    def is_joined(self) -> bool:
        """Whether the join went well."""
        return self.seat is not None

    def mute(self, member_ids: frozenset[int]) -> None:
        """Want no words of these members from now on."""
        self.muted = member_ids

    def hear(self, batch: Batch) -> int:
        """Send on what is for this channel, in one piece where that is all of it, or hold it back for now."""
        # Once for every socket of a room: so without a call for what comparisons say.
        if (
            self._held is None
            and not 0 < batch.first_id <= self._after
            and ((batch.is_for_all and not self.muted) or batch.is_whole_for(self))
        ):
            session = self.session
            session.outlet.write(batch.joined.get(session.version) or batch.join(session.version))
            return batch.size
        count = 0
        for told, frame in batch.parts_for(self):
            self._tell(told, frame)
            count += 1
        return count

    def _tell(self, told: Told, frame: bytes) -> None:
        if self._held is None:
            if self._is_new(told.message_id):
                self.session.outlet.write(frame)
        elif len(self._held) < MAX_HELD:
            self._held.append((told, frame))
        else:
            self.session.abort()

    def cut(self, message_id: int) -> None:
        """End from the server's side, unless the person has come back since; a join that is under way is refused."""
        self._cut_at = max(self._cut_at, message_id)
        if self._held is None and self.seat is not None and self.is_cut_from(self.seat):
            self.session.end(self)

    def is_cut_from(self, seat: Seat) -> bool:
        """Say whether the person was put out of the room after they had this seat in it."""
        return self._cut_at > seat.newest

    def open(self, after: int) -> None:
        """Send what was held back, and hold back no more; end instead where it was cut meanwhile.

        Args:
            after: the last message that the client has been sent already.
        """
        if self.seat is not None and self.is_cut_from(self.seat):
            self.session.end(self)
        if self.is_over:
            return
        held, self._held, self._after = self._held or [], None, after
        for told, frame in held:
            # Muted while it was held back.
            if told.author not in self.muted:
                self._tell(told, frame)

    def _is_new(self, message_id: int) -> bool:
        """Say whether the client has not been sent this message; 0 stands for what is not stored."""
        return not 0 < message_id <= self._after
