"""Keep a pool of connections to one Postgres that may come, go and come back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from services.errors import DatabaseUnavailable
from services.settings import DatabaseSettings

CONNECT_SECONDS = 5.0
ACQUIRE_SECONDS = 5.0
COMMAND_SECONDS = 15.0

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"

# What asyncpg and the network raise when the server is away, starting, stopping or full.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.TooManyConnectionsError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.DiskFullError,
    asyncpg.ReadOnlySQLTransactionError,
    # "The connection is closed": what a query meets that comes just after the cut.
    asyncpg.InterfaceError,
)


class Database:
    """Lend connections, and say plainly when there are none.

    Args:
        pool: made by open_database.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend one connection; do nothing else than SQL while holding it.

        Raises:
            DatabaseUnavailable: the server is away, or went away meanwhile.
        """
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                yield connection
        except AWAY as error:
            raise DatabaseUnavailable("The database does not answer; try again soon.") from error

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend one connection inside a transaction that commits when the block ends well.

        Raises:
            DatabaseUnavailable: the server is away; whether the commit was done is then not known.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def ping(self) -> None:
        """Ask the database for an answer; readiness calls this.

        Raises:
            DatabaseUnavailable: there is none.
        """
        async with self.connection() as connection:
            await connection.fetchval("SELECT 1")


@asynccontextmanager
async def open_database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """Open the pool and close it at the end.

    Nothing connects until the first query (min_size=0): a service starts while its database is away, says so in its
    readiness, and needs no restart when the database comes.
    """
    pool = asyncpg.create_pool(
        settings.url.reveal(),
        min_size=0,
        max_size=settings.pool_size,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        statement_cache_size=settings.statement_cache,
    )
    await pool
    try:
        yield Database(pool)
    finally:
        await close_pool(pool)


async def close_pool(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    """Close in good order, or by force when somebody still holds a connection."""
    try:
        await pool.close()
    except (TimeoutError, OSError, asyncpg.PostgresError):
        pool.terminate()
