"""Know the other replicas: which of them live, whether something of theirs was missed, and who is with them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from services.chat.bus.frames import Roll
from services.chat.bus.notes import Arrived, Gone, PresenceNote

# A replica says something so often, if only that it lives.
BEAT_SECONDS = 2.0
# Whoever was silent for so long is gone, and everybody who was with it; a loop that is held up for a while is not.
DEAD_SECONDS = 10.0


@dataclass(slots=True)
class _Replica:
    heard_at: float
    number: int
    # Who is with it: the topic of each stay.
    stays: dict[int, str] = field(default_factory=dict)
    # While it calls its roll: those whom it has not called yet.
    uncalled: set[int] = field(default_factory=set)
    # Whether something of it was not heard that may have said who came or went, and when its roll was last asked for.
    is_partial: bool = False
    asked_at: float = 0.0


class Replicas:
    """Hold the other replicas.

    Args:
        present: takes who comes and goes with them.
        on_missed: called when something of a replica was missed, or may have been.
        clock: in seconds.
    """

    def __init__(
        self,
        present: Callable[[PresenceNote], None],
        on_missed: Callable[[], None],
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._present = present
        self._on_missed = on_missed
        self._clock = clock
        self._replicas: dict[str, _Replica] = {}

    def hear(self, origin: str, number: int) -> bool:
        """Learn that a replica lives; return whether to ask it for its roll, since something of it was not heard.

        Args:
            origin: which.
            number: of its frame; 0 for one without a number.
        """
        now = self._clock()
        replica = self._replicas.get(origin)
        if replica is None:
            # Whoever has just come has asked everybody, and the answer is on its way.
            replica = self._replicas[origin] = _Replica(now, 0, asked_at=now)
        replica.heard_at = now
        if number > replica.number:
            is_known, is_gap = replica.number > 0, number > replica.number + 1
            replica.number = number
            if is_gap:
                replica.is_partial = True
                if is_known:
                    self._on_missed()
        # Not oftener: a roll of thousands must not be what its own loss asks for again at once.
        if not replica.is_partial or now - replica.asked_at < DEAD_SECONDS:
            return False
        replica.is_partial, replica.asked_at = False, now
        return True

    def take(self, origin: str, note: PresenceNote | Roll) -> None:
        """Learn who is with a replica."""
        replica = self._replicas[origin]
        match note:
            case Arrived():
                replica.uncalled.discard(note.ref)
                if note.ref not in replica.stays:
                    replica.stays[note.ref] = note.topic
                    self._present(note)
            case Gone():
                replica.uncalled.discard(note.ref)
                if replica.stays.pop(note.ref, None) is not None:
                    self._present(note)
            case Roll(is_over=False):
                # What of the roll itself is not heard makes it partial again.
                replica.is_partial = False
                replica.uncalled = set(replica.stays)
            case Roll():
                self._leave(replica, replica.uncalled)
                replica.uncalled = set()

    def sweep(self) -> None:
        """Forget who has been silent for too long; what it stored last may never have been told."""
        oldest = self._clock() - DEAD_SECONDS
        silent = [origin for origin, replica in self._replicas.items() if replica.heard_at < oldest]
        for origin in silent:
            self.forget(origin)
        if silent:
            self._on_missed()

    def pardon(self) -> None:
        """Count nobody's silence up to now: it was we who did not hear."""
        for replica in self._replicas.values():
            replica.heard_at = self._clock()

    def forget(self, origin: str) -> None:
        """Take leave of a replica, and of everybody who was with it."""
        replica = self._replicas.pop(origin, None)
        if replica is not None:
            self._leave(replica, set(replica.stays))

    def __len__(self) -> int:
        return len(self._replicas)

    def _leave(self, replica: _Replica, refs: set[int]) -> None:
        for ref in refs:
            topic = replica.stays.pop(ref, None)
            if topic is not None:
                self._present(Gone(topic, ref))
