"""Tell a crowd something a part at a time, so that others are served meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from services.chat.batch import Batch

# Listeners that are told in one turn of the loop, some milliseconds of it.
CROWD = 250


class Hearer(Protocol):
    """Be who is told."""

    def hear(self, batch: Batch) -> int:
        """Take what is for it of a batch, and say how much that is."""


class Telling:
    """Be a batch that a part of a crowd has still to hear.

    Args:
        batch: what all of them are told.
        listeners: the crowd, in its order.

    Attributes:
        is_speaking: whether somebody hears it this very moment, who may leave because of it.
    """

    __slots__ = ("_at", "_batch", "_listeners", "is_speaking")

    def __init__(self, batch: Batch, listeners: Sequence[Hearer]) -> None:
        self._batch = batch
        self._listeners = listeners
        # Who is next.
        self._at = 0
        self.is_speaking = False

    def tell(self, most: int | None = None) -> int:
        """Tell so many more, or all the others; return how much that was."""
        start, self._at = self._at, len(self._listeners) if most is None else self._at + most
        self.is_speaking = True
        try:
            return sum([listener.hear(self._batch) for listener in self._listeners[start : self._at]])
        finally:
            self.is_speaking = False

    @property
    def is_over(self) -> bool:
        """Whether all have heard it."""
        return self._at >= len(self._listeners)
