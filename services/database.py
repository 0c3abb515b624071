"""Keep a pool of connections to one Postgres that may come, go and come back."""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeAlias

import asyncpg
from asyncpg.pool import PoolConnectionProxy

from services.errors import DatabaseReadOnly, DatabaseUnavailable
from services.kept import Kept
from services.settings import DatabaseSettings

CONNECT_SECONDS = 5.0
ACQUIRE_SECONDS = 5.0
COMMAND_SECONDS = 15.0
# When this begins, requests have had their time to end.
CLOSE_SECONDS = 2.0
# Room on a disk is made by people.
FULL_SECONDS = 30

Connection: TypeAlias = "PoolConnectionProxy[asyncpg.Record]"
logger = logging.getLogger(__name__)

# What waiting does not mend: a certificate, a password, an address.
UNUSABLE = (
    ssl.SSLCertVerificationError,
    asyncpg.InvalidPasswordError,
    asyncpg.ClientConfigurationError,
    ValueError,
)
# What asyncpg and the network raise when the server is away, starting, stopping, full or too slow.
AWAY = (
    OSError,
    TimeoutError,
    asyncpg.PostgresConnectionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.PostgresIOError,
    asyncpg.InvalidCatalogNameError,
    asyncpg.InvalidAuthorizationSpecificationError,
    asyncpg.ReadOnlySQLTransactionError,
    asyncpg.LockNotAvailableError,
    asyncpg.TransactionRollbackError,
    # "The connection is closed": what a query meets that comes just after the cut.
    asyncpg.InterfaceError,
    # What changed under a kept statement, a migration for one; the next one is prepared anew.
    asyncpg.InvalidCachedStatementError,
    # "Another operation is in progress": what it meets between the server's farewell and the cut.
    asyncpg.InternalClientError,
)
# What a pooler that was not noticed makes of kept statements.
LOST_STATEMENT = (asyncpg.InvalidSQLStatementNameError, asyncpg.DuplicatePreparedStatementError)


class Database:
    """Lend connections, and say plainly when there are none.

    Args:
        pool: made by open_database.
        connector: connects for it.

    Attributes:
        on_lend: called with the seconds that somebody waited for a connection.
    """

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record], connector: Connector) -> None:
        self._pool = pool
        self._connector = connector
        self._kept: list[Kept] = []
        self.on_lend: Callable[[float], None] = _ignore

    def count(self) -> tuple[int, int]:
        """Return how many connections are lent, and how many wait to be."""
        idle = self._pool.get_idle_size()
        return self._pool.get_size() - idle, idle

    @property
    def most(self) -> int:
        """How many connections there may be."""
        return self._pool.get_max_size()

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Connection]:
        """Lend one connection; do nothing else than SQL while holding it, and leave no state in its session.

        Raises:
            DatabaseUnavailable: the server is away, or went away meanwhile, or takes no writes.
        """
        started = time.perf_counter()
        try:
            async with self._pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
                self.on_lend(time.perf_counter() - started)
                yield connection
        except (*LOST_STATEMENT, *AWAY) as error:
            raise await self._lose(error) from error

    def keep(self) -> Kept:
        """Lend one connection to whoever asks all the time; it is closed with the pool."""
        kept = Kept(self._lend, self._pool.release, self._lose, self._is_drained)
        self._kept.append(kept)
        return kept

    async def close(self) -> None:
        """Take back what is kept, and close in good order, or by force when somebody still holds a connection."""
        for kept in self._kept:
            await kept.let_go()
        await close_pool(self._pool)

    async def _lend(self) -> Connection:
        started = time.perf_counter()
        connection = await self._pool.acquire(timeout=ACQUIRE_SECONDS)
        self.on_lend(time.perf_counter() - started)
        return connection

    def _is_drained(self) -> bool:
        lent, _ = self.count()
        return lent >= self.most

    async def _lose(self, error: Exception) -> Exception:
        """Draw the consequences of an error, and return what is said of it."""
        if isinstance(error, LOST_STATEMENT):
            self._connector.keep_no_statements()
        elif not isinstance(error, AWAY):
            return error
        if isinstance(error, (*LOST_STATEMENT, asyncpg.ReadOnlySQLTransactionError)):
            # The primary has moved: who stays connected to the former one would never find the new one.
            await self._pool.expire_connections()
            for kept in self._kept:
                await kept.let_go()
        return _unavailable(error)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Connection]:
        """Lend one connection inside a transaction that commits when the block ends well.

        Raises:
            DatabaseUnavailable: the server is away; whether the commit was done is then not known.
        """
        async with self.connection() as connection, connection.transaction():
            yield connection

    async def ping(self) -> None:
        """Ask the database for an answer; readiness calls this, so the reason is for whoever operates us.

        Raises:
            DatabaseUnavailable: there is none.
        """
        try:
            async with self.connection() as connection:
                await connection.fetchval("SELECT 1")
        except DatabaseUnavailable as error:
            raise DatabaseUnavailable(explain(error.__cause__ or error)) from error


@asynccontextmanager
async def open_database(settings: DatabaseSettings) -> AsyncIterator[Database]:
    """Open the pool and close it at the end.

    Nothing connects until the first query (min_size=0): a service starts while its database is away, says so in its
    readiness, and needs no restart when the database comes.
    """
    connector = Connector(settings.statement_cache)
    pool = asyncpg.create_pool(
        settings.url.reveal(),
        connect=connector,
        min_size=0,
        max_size=settings.pool_size,
        timeout=CONNECT_SECONDS,
        command_timeout=COMMAND_SECONDS,
        # Nobody leaves state in a session, so a round trip that clears it is spared; a transaction is still ended.
        reset=_keep,
    )
    await pool
    database = Database(pool, connector)
    try:
        yield database
    finally:
        await database.close()


async def close_pool(pool: asyncpg.Pool[asyncpg.Record]) -> None:
    """Close in good order, or by force when somebody still holds a connection."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await pool.close()
    except (TimeoutError, OSError, asyncpg.PostgresError):
        pool.terminate()


def explain(error: BaseException) -> str:
    """Say to an operator what is wrong with the database; it quotes no password, since neither does the error."""
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is not trusted: {error.verify_message}"
        case TimeoutError():
            return "no answer in time"
        case _:
            return (str(error) or type(error).__name__).rstrip(".")


def _unavailable(error: BaseException) -> DatabaseUnavailable:
    match error:
        case asyncpg.DiskFullError():
            message = "The database has no room left, and nothing was stored; try again later."
            return DatabaseUnavailable(message, code="database_full", retry_after=FULL_SECONDS)
        case asyncpg.ReadOnlySQLTransactionError():
            message = "The database takes no writes for now, and nothing was stored; try again soon."
            return DatabaseReadOnly(message)
        case _:
            return DatabaseUnavailable("The database does not answer; try again soon.")


def _ignore(_seconds: float) -> None:
    pass


async def _keep(_connection: object) -> None:
    pass


class Connector:
    """Connect, keeping prepared statements only where they stay: a pooler gives each transaction another session.

    Args:
        statement_cache: prepared statements a connection keeps.
    """

    def __init__(self, statement_cache: int) -> None:
        self._statement_cache = statement_cache

    async def __call__(self, *arguments: Any, **options: Any) -> asyncpg.Connection[asyncpg.Record]:
        """Connect as asyncpg.connect does."""
        kept = self._statement_cache
        connection = await _connect(*arguments, statement_cache_size=kept, **options)
        # Kept statements would be missing in the next session, or be another client's of the same name.
        if kept and await _is_pooled(connection):
            await connection.close()
            self.keep_no_statements()
            connection = await _connect(*arguments, statement_cache_size=0, **options)
        return connection

    def keep_no_statements(self) -> None:
        """Keep none from the next connection on."""
        if self._statement_cache:
            logger.warning("a pooler stands in front of the database: prepared statements are not kept")
            self._statement_cache = 0


async def _connect(*arguments: Any, **options: Any) -> asyncpg.Connection[asyncpg.Record]:
    connection: asyncpg.Connection[asyncpg.Record] = await asyncpg.connect(*arguments, **options)
    return connection


async def _is_pooled(connection: asyncpg.Connection[asyncpg.Record]) -> bool:
    """Say whether the server that answers is another than the one that greeted us.

    Every pooler greets with a key of its own, since it has yet to choose a server. The statement has no name, so it is
    gone when it has run.
    """
    statement = await connection.prepare("SELECT pg_backend_pid()", name="")
    return bool(await statement.fetchval() != connection.get_server_pid())
