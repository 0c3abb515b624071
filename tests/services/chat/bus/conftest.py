"""Give tests of the bus a NATS of their own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from services.chat.bus.settings import BusSettings
from services.settings import DatabaseSettings, Secret
from tests.services.chat.bus.server import NatsServer

MakeNats = Callable[..., NatsServer]
CutBus = Callable[[DatabaseSettings], Awaitable[None]]

# Those whose last statement was the link's own.
_END = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
  AND (query ILIKE 'LISTEN%' OR query LIKE '%f (frame, ordinal)%')
"""


@pytest.fixture
def make_nats(tmp_path: Path) -> Iterator[MakeNats]:
    """Make servers that are not started yet, with options of their own."""
    made: list[NatsServer] = []

    def make(**options: object) -> NatsServer:
        folder = tmp_path / f"nats-{len(made)}"
        folder.mkdir()
        made.append(NatsServer(folder, **options))
        return made[-1]

    yield make
    for server in made:
        server.kill()


@pytest.fixture(params=["postgres", "nats"])
def bus(request: pytest.FixtureRequest) -> BusSettings:
    """Choose the bus of replicas: each test runs on both."""
    if request.param == "postgres":
        return BusSettings("postgres")
    server: NatsServer = request.getfixturevalue("nats_server")
    return BusSettings("nats", Secret(server.url))


@pytest.fixture
def cut_bus(bus: BusSettings, request: pytest.FixtureRequest) -> CutBus:
    """Part replicas from their bus for a moment."""
    if bus.kind == "nats":
        server: NatsServer = request.getfixturevalue("nats_server")
        return lambda _database: asyncio.to_thread(server.restart)
    return _end_listeners


async def _end_listeners(database: DatabaseSettings) -> None:
    with contextlib.suppress(OSError, asyncpg.PostgresError):
        admin = await asyncpg.connect(database.url.reveal())
        await admin.execute(_END)
        await admin.close()


@pytest.fixture
def nats_server(make_nats: MakeNats) -> NatsServer:
    """Run a server with the usual options."""
    server = make_nats()
    server.start()
    return server
