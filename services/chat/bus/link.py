"""Say what a transport between the replicas has to do; it carries frames, and knows nothing of what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.database import Connection


class Hearer(Protocol):
    """Be who takes what a link brings, as SharedBus does."""

    def receive(self, frame: bytes) -> None:
        """Take a frame, one's own included; it never waits and never raises."""

    def opened(self) -> None:
        """Hear that the link is up: from now on nothing is missed, and all before it may have been."""

    def closed(self) -> None:
        """Hear that the link is down."""


class Link(Protocol):
    """Carry frames to every replica, this one included."""

    @property
    def max_bytes(self) -> int:
        """The most bytes that a frame may have."""

    @property
    def notified(self) -> str | None:
        """The channel that a commit notifies, in the order of commits; none if the link is not the database's."""

    def send(self, frame: bytes) -> None:
        """Take a frame to be sent, in the order in which they come; it never waits.

        While the link is down frames are kept, up to a limit; beyond it the oldest are dropped and counted, which the
        others notice by the numbers in the frames.
        """

    async def announce(self, connection: Connection, frames: Sequence[bytes]) -> None:
        """Let a transaction carry frames; only a link of the database's is asked to."""

    async def run(self, hearer: Hearer) -> None:
        """Connect, bring what comes, and connect again for as long as it takes; ends when it is cancelled."""

    async def check(self) -> None:
        """Ask for the link; readiness calls this.

        Raises:
            Unavailable: it is down; the message says why, quoting no secret.
        """

    async def close(self) -> None:
        """Send what waits, for a moment and no longer."""
