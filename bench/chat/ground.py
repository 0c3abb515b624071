"""Hold what the questions about growth are asked on, and what their answers are made of."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench.chat.load import Outcome
from bench.chat.stack import Stack, running_stack


@dataclass(frozen=True)
class Ground:
    """Say how much is measured, and by whose hand.

    Attributes:
        python: of the load generator's environment.
        share: of what, by what everything is divided; 1 is a measurement.
    """

    python: Path
    share: int = 1

    def of(self, count: int, least: int = 1) -> int:
        """Return a count of sockets, messages or rows, cut down where it is to be."""
        return max(min(count, least), count // self.share)

    @contextmanager
    def stack(self, bus: str = "local", replicas: int = 1, *, is_limited: bool = False) -> Iterator[Stack]:
        """Run a fresh stack until the block ends, and leave nothing."""
        with tempfile.TemporaryDirectory(prefix="stampchat-growth-") as name:
            folder = Path(name)
            folder.chmod(0o755)
            with running_stack(folder, bus=bus, replicas=replicas, is_limited=is_limited) as stack:
                yield stack


@dataclass(frozen=True)
class Row:
    """Be one line of an answer.

    Attributes:
        what: was measured.
        figures: by the column's name.
        is_clean: whether nothing was lost that was not to be.
        raw: all that was counted.
    """

    what: str
    figures: Mapping[str, float | str]
    is_clean: bool = True
    raw: Mapping[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON would have it."""
        return {"what": self.what, "figures": dict(self.figures), "clean": self.is_clean, "raw": dict(self.raw)}


def chat_cost(costs: Mapping[str, float]) -> float:
    """Add up what all replicas of the chat service used."""
    return sum(cost for name, cost in costs.items() if name.startswith("chat"))


def message_figures(outcome: Outcome, listeners: float) -> dict[str, float | str]:
    """Return what a message cost.

    Args:
        outcome: of a run that said something.
        listeners: deliveries of each message.
    """
    chat = chat_cost(outcome.microseconds)
    return {
        "messages/s": outcome.messages_per_second,
        "chat us/message": round(chat, 1),
        "chat us/delivery": round(chat / listeners, 2),
        "postgres us/message": outcome.microseconds["postgres"],
        "p50 ms": outcome.p50,
        "p99 ms": outcome.p99,
        "lost": outcome.expected - outcome.delivered,
        "other cores": outcome.cores["other"],
    }
