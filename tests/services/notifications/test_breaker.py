from __future__ import annotations

import pytest

from services.notifications.breaker import FAILURES, FIRST_SECONDS, MOST_ASKED_SECONDS, MOST_SECONDS, Breaker


class TestBreaker:
    def setup_method(self) -> None:
        """Make a breaker whose clock stands still, and whose jitter is the longest."""
        self.now = 100.0
        self.breaker = Breaker(clock=lambda: self.now, jitter=lambda: 1.0)

    def fail(self, count: int = FAILURES) -> None:
        """Let some devices fail."""
        for number in range(count):
            self.breaker.fail(f"phone-{number}", None)

    def test_a_few_failures_or_one_device_change_nothing(self) -> None:
        """A device that fails alone is its own trouble."""
        self.fail(FAILURES - 1)
        self.breaker.succeed()
        self.fail(FAILURES - 1)
        for _ in range(50):
            self.breaker.fail("phone-0", None)

        assert self.breaker.take(25) == 25

    def test_many_stop_all_but_one_at_a_time(self) -> None:
        """While the provider is away it is asked by one push, more and more seldom; then by all at once."""
        self.fail()
        waits = []
        for _ in range(10):
            assert self.breaker.take(25) == 0
            before = self.now
            while not self.breaker.take(25):
                self.now += 0.5
            waits.append(self.now - before)
            assert self.breaker.take(25) == 0
            self.breaker.fail("late, and on its way before", None)

        assert waits[0] == FIRST_SECONDS
        assert waits[-1] == MOST_SECONDS
        assert waits == sorted(waits)

        self.now += MOST_SECONDS
        assert self.breaker.take(25) == 1
        self.breaker.succeed()
        assert self.breaker.take(25) == 25

    def test_what_could_not_be_tried_is_given_back(self) -> None:
        """Somebody else may then find out."""
        self.fail()
        self.now += MOST_SECONDS
        assert self.breaker.take(25) == 1
        assert self.breaker.take(25) == 0
        self.breaker.give_back()
        assert self.breaker.take(25) == 1

    def test_failures_that_were_on_their_way_make_nothing_longer(self) -> None:
        """Twenty-five at once are one outage."""
        self.fail(25)
        self.now += FIRST_SECONDS
        assert self.breaker.take(25) == 1

    @pytest.mark.parametrize(("asked", "waited"), [(120.0, 120.0), (1e9, MOST_ASKED_SECONDS)])
    def test_the_provider_may_ask_for_patience(self, asked: float, waited: float) -> None:
        """Within reason."""
        for number in range(FAILURES):
            self.breaker.fail(f"phone-{number}", asked)
        self.now += waited - 1
        assert self.breaker.take(25) == 0
        self.now += 1
        assert self.breaker.take(25) == 1
