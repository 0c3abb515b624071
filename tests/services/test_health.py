from __future__ import annotations

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from services.database import open_database
from services.errors import PeerUnavailable
from services.health import Health, watch_database
from services.metrics import Metrics
from services.migrations import load_migrations, migrate
from services.peers import Peer
from services.settings import DatabaseSettings
from tests.services.processes import ROOT
from tests.services.stand_in import serving

MIGRATIONS = ROOT / "services" / "auth" / "migrations"


async def test_a_database_that_lacks_a_migration_is_not_ready(database: DatabaseSettings) -> None:
    """One that is ahead of this version is: its next version runs beside it."""
    health, metrics = Health(), Metrics("sample")
    needed = len(load_migrations(MIGRATIONS))
    async with open_database(database) as opened:
        watch_database(health, metrics, opened, MIGRATIONS)
        empty = await health.report()
        await migrate(database, MIGRATIONS)
        ready = await health.report()
        connection = await asyncpg.connect(database.url.reveal())
        await connection.execute("INSERT INTO stampchat_migrations (number, name) VALUES (999, 'next')")
        ahead = await health.report()
        await connection.execute("DELETE FROM stampchat_migrations WHERE number >= $1", needed)
        behind = await health.report()
        await connection.close()
        assert b'stampchat_database_connections{state="idle"}' in metrics.render()

    assert (empty.is_ready, empty.checks["database"]) == (False, "ok")
    assert (ready.is_ready, ready.checks) == (True, {"database": "ok", "migrations": "ok"})
    assert ahead.is_ready
    said = f"failing: The database is at migration {needed - 1}, and this version needs {needed}."
    assert (behind.is_ready, behind.checks["migrations"]) == (False, said)


async def test_a_peer_lives_when_its_internal_port_says_so(client: aiohttp.ClientSession) -> None:
    """Anything else is an absence."""
    answers = iter([200, 503])

    async def livez(_request: web.Request) -> web.Response:
        return web.json_response({"status": "alive"}, status=next(answers))

    app = web.Application()
    app.router.add_get("/livez", livez)
    async with serving(app) as url:
        await Peer("chat", url, client).ping()
        with pytest.raises(PeerUnavailable):
            await Peer("chat", url, client).ping()
    with pytest.raises(PeerUnavailable):
        await Peer("chat", "http://127.0.0.1:9", client).ping()


async def test_draining_is_not_ready_whatever_else_is_well() -> None:
    """Nothing new is sent to a process that is on its way out."""
    health = Health()
    health.draining = True
    report = await health.report()

    assert (report.is_ready, report.degraded) == (False, [])
    assert report.checks == {"draining": "this process is stopping"}
