from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from services.database import open_database
from services.errors import DatabaseUnavailable
from services.settings import DatabaseSettings, Secret
from tests.services.postgres import PostgresServer


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Run a server that a test may stop."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_a_database_that_goes_away_and_comes_back_needs_no_restart(own_server: PostgresServer) -> None:
    """Whoever asks meanwhile is told so; a query under way is cut and told so too."""
    async with open_database(DatabaseSettings(url=Secret(own_server.url("postgres")))) as database:
        await database.ping()

        async def sleep_there() -> None:
            async with database.connection() as connection:
                await connection.execute("SELECT pg_sleep(60)")

        cut = asyncio.create_task(sleep_there())
        async with database.connection() as connection:
            busy = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()"
            while await connection.fetchval(busy) == 0:  # noqa: ASYNC110  # the server has no event to wait for
                await asyncio.sleep(0.01)
        await asyncio.to_thread(own_server.stop)
        with pytest.raises(DatabaseUnavailable):
            await cut
        with pytest.raises(DatabaseUnavailable):
            await database.ping()
        await asyncio.to_thread(own_server.start)
        await database.ping()


async def test_a_service_opens_without_its_database(own_server: PostgresServer) -> None:
    """It waits in its readiness and not by crashing."""
    own_server.stop()
    async with open_database(DatabaseSettings(url=Secret(own_server.url("postgres")))) as database:
        with pytest.raises(DatabaseUnavailable) as raised:
            await database.ping()

    assert raised.value.retry_after


async def test_a_transaction_is_all_or_nothing(database: DatabaseSettings) -> None:
    """What raises inside leaves nothing."""
    async with open_database(database) as opened:
        async with opened.connection() as connection:
            await connection.execute("CREATE TABLE t (n int)")
        with pytest.raises(asyncpg.DivisionByZeroError):
            async with opened.transaction() as connection:
                await connection.execute("INSERT INTO t VALUES (1); SELECT 1 / 0")
        async with opened.connection() as connection:
            assert await connection.fetchval("SELECT count(*) FROM t") == 0


async def test_a_mistake_of_ours_is_not_taken_for_an_absent_database(database: DatabaseSettings) -> None:
    """A bad argument and bad SQL stay errors of the programmer."""
    async with open_database(database) as opened:
        with pytest.raises(asyncpg.DataError):
            async with opened.connection() as connection:
                await connection.fetchval("SELECT $1::int", 2**40)
        with pytest.raises(asyncpg.UndefinedTableError):
            async with opened.connection() as connection:
                await connection.fetchval("SELECT * FROM nowhere")


async def test_it_works_behind_a_transaction_pooler(database: DatabaseSettings) -> None:
    """Without a statement cache the server keeps no named statement of ours."""
    plain = DatabaseSettings(url=database.url, statement_cache=0)
    async with open_database(plain) as opened, opened.connection() as connection:
        await connection.fetchval("SELECT $1::int", 1)
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") == 0


async def test_a_connection_that_somebody_holds_does_not_keep_the_process(
    database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing has a limit, also where a server hangs; what is held then is cut."""
    monkeypatch.setattr("services.database.CLOSE_SECONDS", 0.1)
    begun = asyncio.Event()

    async def hold() -> None:
        async with opened.connection() as connection:
            begun.set()
            await connection.execute("SELECT pg_sleep(60)")

    async with asyncio.timeout(60), open_database(database) as opened:
        holding = asyncio.create_task(hold())
        await begun.wait()
    with pytest.raises(DatabaseUnavailable):
        await holding


async def test_a_column_that_changes_under_a_kept_statement_is_met_by_a_second_try(database: DatabaseSettings) -> None:
    """As a migration beside a running service does: what has the old plan is answered 503, the next is well."""
    async with open_database(database) as opened:
        async with opened.connection() as connection:
            await connection.execute("CREATE TABLE t (n int)")
            await connection.fetch("SELECT * FROM t")
        other = await asyncpg.connect(database.url.reveal())
        await other.execute("ALTER TABLE t ADD COLUMN m int")
        await other.close()
        with pytest.raises(DatabaseUnavailable):
            async with opened.transaction() as connection:
                await connection.fetch("SELECT * FROM t")
        async with opened.transaction() as connection:
            assert await connection.fetch("SELECT * FROM t") == []
