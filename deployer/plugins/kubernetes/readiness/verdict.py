"""Say how far an object is, and what is in its way."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

NEVER = math.inf


@dataclass(frozen=True)
class Trouble:
    """Describe something that keeps an object from being ready.

    Attributes:
        key: the same for the same trouble seen again, in whatever pod.
        what: one sentence without its full stop.
        patience: how many seconds it may last before it counts as definite; 0 for at once, NEVER for not by itself.
        said: fetches the failing part's own last words.
    """

    key: str
    what: str
    patience: float
    said: Callable[[], str] = field(default=str, repr=False)


@dataclass(frozen=True)
class Verdict:
    """Judge an object at one moment.

    Attributes:
        ready: whether it is what was asked for.
        status: how far it is, for the live display.
        troubles: what is in its way, the worst first.
    """

    ready: bool
    status: str = ""
    troubles: tuple[Trouble, ...] = ()

    @property
    def line(self) -> str:
        """The status with the first trouble beside it."""
        return f"{self.status}: {self.troubles[0].what}" if self.troubles else self.status


READY = Verdict(ready=True)


class Patience:
    """Remember since when each trouble has lasted.

    Args:
        clock: returns seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._since: dict[str, float] = {}

    def exhausted(self, troubles: Iterable[Trouble]) -> Trouble | None:
        """Return the first trouble that has lasted too long; what is not seen any more is forgotten."""
        now = self._clock()
        seen = {trouble.key: trouble for trouble in troubles}
        self._since = {key: self._since.get(key, now) for key in seen}
        return next((trouble for key, trouble in seen.items() if now - self._since[key] >= trouble.patience), None)
