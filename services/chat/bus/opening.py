"""Open the bus that the settings ask for."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from services.chat.bus.commits import Commits
from services.chat.bus.link import Link
from services.chat.bus.local import LocalBus
from services.chat.bus.notes import tell_message
from services.chat.bus.order import Order
from services.chat.bus.postgres import PostgresLink
from services.chat.bus.settings import BusSettings
from services.chat.bus.shared import SharedBus
from services.chat.listeners import Listeners
from services.chat.metrics import ChatMetrics
from services.chat.room import Rooms
from services.chat.table import Table
from services.database import Database
from services.errors import DatabaseReadOnly
from services.health import Health
from services.settings import DatabaseSettings


@dataclass(frozen=True)
class Opened:
    """Be an open bus.

    Attributes:
        bus: it.
        commits: what commits do for it.
        link: to the other replicas; none where there are none.
    """

    bus: LocalBus | SharedBus
    commits: Commits
    link: Link | None = None

    def watch(self, health: Health) -> None:
        """Have readiness say when the link is down.

        A process that never had it is not put into service, so that a rollout with a wrong address stops. Once it had,
        it stays: else all replicas would be out of service at once, and people on one replica chat without it.
        """
        if isinstance(self.bus, SharedBus) and self.link is not None:
            bus, link = self.bus, self.link

            async def check_found() -> None:
                # Nobody can listen on a standby, which lets be read all the same.
                with contextlib.suppress(DatabaseReadOnly):
                    if not bus.was_up:
                        await link.check()

            health.register("bus_found", check_found)
            health.register("bus", link.check, essential=False)


@asynccontextmanager
async def open_bus(
    settings: BusSettings, *, url: DatabaseSettings, database: Database, rooms: Rooms, metrics: ChatMetrics
) -> AsyncIterator[Opened]:
    """Open the bus, and close it when everything that tells over it has ended.

    Args:
        settings: which.
        url: of the database, for the bus of which it is.
        database: the pool.
        rooms: the sockets of this process.
        metrics: where it is counted.
    """
    link = _make_link(settings, url, database)
    if link is None:
        yield Opened(LocalBus(rooms.deliver), Commits())
        return
    table, origin = Table(database), secrets.token_hex(8)
    order = Order(rooms.deliver, table.messages_after_each, tell_message)
    bus = SharedBus(link, rooms.deliver, order, origin)
    listeners = Listeners(rooms, table.find_seats)
    bus.recheck = listeners.check
    rooms.on_empty = order.forget
    order.on_gap = metrics.bus_gaps.inc
    metrics.gauge("bus_up", "Whether the bus to the other replicas is up.", lambda: bus.is_up)
    metrics.gauge("replicas", "Replicas that this one hears of, itself included.", bus.count_replicas)
    bus.start()
    try:
        yield Opened(bus, Commits(link, origin), link)
    finally:
        await bus.close()
        await listeners.close()


def _make_link(settings: BusSettings, database: DatabaseSettings, pool: Database) -> Link | None:
    match settings.kind:
        case "postgres":
            return PostgresLink(settings.url or database.url, pool, settings.name)
        case "nats":
            # The library is loaded by whoever asks for it alone.
            from services.chat.bus.nats import NatsLink

            return NatsLink(settings.url, settings.name)
        case _:
            return None
