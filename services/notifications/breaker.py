"""Stop asking a provider that does not answer, and find out with one push at a time whether it does again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

# So many devices one after the other, with none that succeeds between them, are no longer about a device.
FAILURES = 5
FIRST_SECONDS = 1.0
MOST_SECONDS = 60.0
# A provider may ask for more, but not for ever.
MOST_ASKED_SECONDS = 3600.0


class Breaker:
    """Decide how many pushes may be tried now.

    Args:
        clock: a monotonic clock, in seconds.
        jitter: returns something between 0 and 1.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._failing: set[str] = set()
        self._opened = 0
        self._until = 0.0
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether the provider is taken to be away."""
        return self._opened > 0

    def take(self, most: int) -> int:
        """Return how many may be tried: all of them, none, or the one that finds out; give() back what was not."""
        if not self.is_open:
            return most
        if self._is_probing or self._clock() < self._until:
            return 0
        self._is_probing = True
        return 1

    def give_back(self) -> None:
        """Say that what was taken could not be tried."""
        self._is_probing = False

    def succeed(self) -> None:
        """Note that the provider has answered."""
        self._failing.clear()
        self._opened = 0
        self._is_probing = False

    def fail(self, device: str, retry_after: float | None) -> None:
        """Note that it did not, or asked for patience.

        Args:
            device: for which; one that fails alone says nothing of the others.
            retry_after: seconds that the provider asked for, if it did.
        """
        if not self.is_open:
            self._failing.add(device)
            if len(self._failing) < FAILURES:
                return
        elif not self._is_probing:
            # It was on its way before.
            return
        self._is_probing = False
        most = min(MOST_SECONDS, FIRST_SECONDS * 2**self._opened)
        self._opened = min(self._opened + 1, 30)
        asked = min(retry_after or 0.0, MOST_ASKED_SECONDS)
        self._until = self._clock() + max(asked, most / 2 + most / 2 * self._jitter())
