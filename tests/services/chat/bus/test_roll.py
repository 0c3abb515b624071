"""Know who lives, what was missed, and who is with whom."""

from __future__ import annotations

from services.chat.bus import Arrived, Gone, PresenceNote
from services.chat.bus.frames import Roll
from services.chat.bus.replicas import DEAD_SECONDS, MAX_LATE, Replicas


class TestReplicas:
    """Watch one other replica, "b", with a clock of one's own."""

    def setup_method(self) -> None:
        """Begin."""
        self.now = 0.0
        self.told: list[PresenceNote] = []
        self.missed = 0
        self.replicas = Replicas(self.told.append, self.miss, clock=lambda: self.now)
        self.replicas.hear("b", 7)

    def miss(self) -> None:
        """Count."""
        self.missed += 1

    def test_a_number_that_is_left_out_is_a_loss(self) -> None:
        """What comes in a row is none, nor what comes twice or without a number, nor a new life."""
        for number in (8, 8, 0, 9, 3, 10):
            self.replicas.hear("b", number)
        self.replicas.hear("c", 100)
        assert self.missed == 0

        self.replicas.hear("b", 12)

        assert self.missed == 1

    def test_a_frame_that_comes_twice_is_new_once(self) -> None:
        """Late or not; what was said before we listened is new, too."""
        assert [self.replicas.hear("b", number) for number in (7, 8, 8, 7)] == [False, True, False, False]
        assert [self.replicas.hear("b", number) for number in (11, 9, 9, 10, 11)] == [True, True, False, True, False]
        assert all(self.replicas.hear(*heard) for heard in (("b", 0), ("b", 0), ("b", 3), ("new", 0), ("new", 0)))
        assert self.missed == 1

    def test_what_never_comes_is_not_waited_for_in_memory(self) -> None:
        """Nor does a gap of any size take more than its part."""
        self.replicas.hear("b", 10**9)
        self.replicas.hear("b", 2 * 10**9)

        assert self.replicas.hear("b", 2 * 10**9 - MAX_LATE)
        assert not self.replicas.hear("b", 2 * 10**9 - MAX_LATE - 1)
        assert not self.replicas.hear("b", 10**9 - 1)
        assert self.missed == 2

    def test_who_goes_before_they_come_was_never_here(self) -> None:
        """The two may be late by a different time; whoever comes anew has another ref."""
        self.replicas.take("b", Gone("room:a", 1))
        for ref in (1, 2):
            self.replicas.take("b", Arrived("room:a", "ada", 1, ref, 0))

        assert self.told == [Arrived("room:a", "ada", 1, 2, 0)]

    def test_who_is_silent_is_gone_with_everybody(self) -> None:
        """And what it stored last may never have been told."""
        self.replicas.take("b", Arrived("room:a", "ada", 1, 11, 0))
        self.now = DEAD_SECONDS - 0.1
        self.replicas.sweep()
        assert (len(self.replicas), self.missed) == (1, 0)

        self.now = DEAD_SECONDS + 0.1
        self.replicas.sweep()

        assert self.told[1:] == [Gone("room:a", 11)]
        assert (len(self.replicas), self.missed) == (0, 1)

    def test_our_own_deafness_is_nobodys_silence(self) -> None:
        """After the link was down they are given their time."""
        self.now = 100.0
        self.replicas.pardon()
        self.replicas.sweep()

        assert len(self.replicas) == 1

    def test_a_roll_mends_what_was_missed(self) -> None:
        """Who is called and known stays, who is called and unknown comes, who is not called is gone."""
        for ref in (1, 2):
            self.replicas.take("b", Arrived("room:a", "ada", 1, ref, 0))
        self.told.clear()

        self.replicas.take("b", Roll(is_over=False))
        for ref in (2, 3):
            self.replicas.take("b", Arrived("room:a", "ada", 1, ref, 0))
        self.replicas.take("b", Roll(is_over=True))

        assert self.told == [Arrived("room:a", "ada", 1, 3, 0), Gone("room:a", 1)]

    def test_who_goes_twice_goes_once(self) -> None:
        """And who was never here does not go."""
        self.replicas.take("b", Arrived("room:a", "ada", 1, 1, 0))
        for ref in (1, 1, 9):
            self.replicas.take("b", Gone("room:a", ref))
        self.replicas.forget("b")
        self.replicas.forget("b")

        assert self.told[1:] == [Gone("room:a", 1)]
