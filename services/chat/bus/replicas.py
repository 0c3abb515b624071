"""Know the other replicas: which of them live, whether something of theirs was missed, and who is with them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from services.chat.bus.frames import Roll
from services.chat.bus.notes import Arrived, Gone, PresenceNote

# A replica says something so often, if only that it lives.
BEAT_SECONDS = 2.0
# Whoever was silent for so long is gone, and everybody who was with it; a loop that is held up for a while is not.
DEAD_SECONDS = 10.0
# Of frames that were left out, and of stays that ended before they began; what is older than these comes no more.
MAX_LATE = 1000


class Numbers:
    """Know which of a replica's frames have come, so that one that comes twice is carried out once.

    Whoever does not see its frames come back sends them again over its next connection.

    Args:
        on_missed: called when a number is left out.

    Attributes:
        last: the greatest number that came.
    """

    def __init__(self, on_missed: Callable[[], None]) -> None:
        self._on_missed = on_missed
        self._first = self.last = 0
        self._left_out: dict[int, None] = {}

    def take(self, number: int) -> bool:
        """Return whether a frame is new; one without a number, which is 0, always is."""
        if number > self.last:
            left_out = range(max(self.last + 1, number - MAX_LATE), number) if self.last else ()
            self._first, self.last = self._first or number, number
            if left_out:
                _keep(self._left_out, left_out)
                self._on_missed()
            return True
        if number in self._left_out:
            del self._left_out[number]
            return True
        # What came before the first one was said before we listened.
        return not number or number < self._first


def _keep(kept: dict[int, None], more: Iterable[int]) -> None:
    kept.update(dict.fromkeys(more))
    while len(kept) > MAX_LATE:
        del kept[next(iter(kept))]


@dataclass(slots=True)
class _Replica:
    heard_at: float
    numbers: Numbers
    # Who is with it: the topic of each stay.
    stays: dict[int, str] = field(default_factory=dict)
    # While it calls its roll: those whom it has not called yet.
    uncalled: set[int] = field(default_factory=set)
    # Stays of which the end came first.
    ended: dict[int, None] = field(default_factory=dict)
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
        """Learn that a replica lives.

        Args:
            origin: which.
            number: of its frame; 0 for one without a number.

        Returns:
            Whether the frame is new.
        """
        now = self._clock()
        replica = self._replicas.get(origin)
        if replica is None:
            # Whoever has just come has asked everybody, and the answer is on its way.
            replica = self._replicas[origin] = _Replica(now, Numbers(self._on_missed), asked_at=now)
        replica.heard_at = now
        if number > replica.numbers.last + 1:
            replica.is_partial = True
        return replica.numbers.take(number)

    def must_ask(self, origin: str) -> bool:
        """Return whether to ask a replica for its roll, since something of it was not heard; it is then asked."""
        replica = self._replicas.get(origin)
        if replica is None or not replica.is_partial:
            return False
        now = self._clock()
        # Not oftener: a roll of thousands must not be what its own loss asks for again at once.
        if now - replica.asked_at < DEAD_SECONDS:
            return False
        replica.is_partial, replica.asked_at = False, now
        return True

    def take(self, origin: str, note: PresenceNote | Roll) -> None:
        """Learn who is with a replica."""
        replica = self._replicas[origin]
        match note:
            case Arrived():
                replica.uncalled.discard(note.ref)
                if note.ref in replica.ended:
                    del replica.ended[note.ref]
                elif note.ref not in replica.stays:
                    replica.stays[note.ref] = note.topic
                    self._present(note)
            case Gone():
                replica.uncalled.discard(note.ref)
                if replica.stays.pop(note.ref, None) is None:
                    _keep(replica.ended, (note.ref,))
                else:
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
