"""Take notices over: once they are stored, whoever handed them over may forget them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from services.notifications.metrics import PushMetrics
from services.notifications.outbox import Outbox
from services.notifications.push import Notice
from services.notifications.store import Store


class Pusher:
    """Store notices for the workers, or say honestly that nothing is pushed.

    Args:
        outbox: where they are stored; none when pushes are off.
        store: whose devices are where.
        metrics: where outcomes are counted.
        ttl_seconds: how long a push is worth sending.
        wake: called when there is something to send.
    """

    def __init__(
        self, outbox: Outbox | None, store: Store, metrics: PushMetrics, ttl_seconds: float, wake: Callable[[], None]
    ) -> None:
        self._outbox = outbox
        self._store = store
        self._metrics = metrics
        self._ttl_seconds = ttl_seconds
        self._wake = wake

    async def take(self, notices: Sequence[Notice]) -> list[dict[str, Any]]:
        """Take notices over and return, for each, how many devices there are and for how many it is new."""
        if self._outbox is None:
            return [await self._count(notice) for notice in notices]
        stored = await self._outbox.store(notices, self._ttl_seconds)
        count = sum(one.stored for one in stored)
        self._metrics.pushes.labels("stored").inc(count)
        self._metrics.pushes.labels("repeated").inc(sum(one.devices for one in stored) - count)
        if count:
            self._wake()
        return [{"push": "fcm", "devices": one.devices, "stored": one.stored} for one in stored]

    async def _count(self, notice: Notice) -> dict[str, Any]:
        devices = len(await self._store.devices(notice.identities))
        self._metrics.pushes.labels("off").inc(devices)
        return {"push": "off", "devices": devices}
