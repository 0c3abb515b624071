"""Push to devices, or say honestly that nothing is pushed."""

from __future__ import annotations

import asyncio
import enum
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from prometheus_client import CollectorRegistry
from prometheus_client import Counter as Metric

from services.notifications.store import Store

# Each is one HTTPS request over a handful of kept connections.
CONCURRENT_SENDS = 32


class Outcome(enum.StrEnum):
    """Say what became of one push."""

    SENT = "sent"
    # The provider no longer knows the device: forget it.
    GONE = "gone"
    # A passing failure: the same push may succeed later.
    LATER = "later"
    # A mistake of ours or of the set-up: sending it again would fail again.
    REFUSED = "refused"


@dataclass(frozen=True)
class Push:
    """Hold what every device of a notification gets.

    Attributes:
        title: the channel's name.
        body: who wrote, and what.
        data: strings for the app.
    """

    title: str
    body: str
    data: Mapping[str, str] = field(default_factory=dict)


class Sender(Protocol):
    """Be a way to reach devices."""

    async def send(self, token: str, push: Push) -> Outcome:
        """Push to one device."""


class Pusher:
    """Push a notification to every device of some people.

    Args:
        store: whose devices are where.
        sender: the way to reach them; none when pushes are off.
        registry: where outcomes are counted.
    """

    def __init__(self, store: Store, sender: Sender | None, registry: CollectorRegistry) -> None:
        self._store = store
        self._sender = sender
        self._pushes = Metric("stampchat_pushes_total", "Pushes by outcome.", ("outcome",), registry=registry)

    async def notify(self, identities: Sequence[str], push: Push) -> dict[str, Any]:
        """Return how many devices there are and what became of each push."""
        devices = await self._store.devices(identities)
        if self._sender is None:
            self._pushes.labels("off").inc(len(devices))
            return {"push": "off", "devices": len(devices)}
        outcomes = await self._send_all(self._sender, devices, push)
        gone = [token for token, outcome in outcomes.items() if outcome is Outcome.GONE]
        if gone:
            await self._store.forget(gone)
        counts = Counter(outcomes.values())
        for outcome, count in counts.items():
            self._pushes.labels(outcome).inc(count)
        return {"push": "fcm", "devices": len(devices), **{outcome.value: counts[outcome] for outcome in Outcome}}

    async def _send_all(self, sender: Sender, devices: Sequence[str], push: Push) -> dict[str, Outcome]:
        slots = asyncio.Semaphore(CONCURRENT_SENDS)

        async def send(token: str) -> Outcome:
            async with slots:
                return await sender.send(token, push)

        outcomes = await asyncio.gather(*(send(token) for token in devices))
        return dict(zip(devices, outcomes, strict=True))
