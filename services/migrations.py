"""Bring a database up to date with numbered SQL files, safely when many start at once.

A file runs in one transaction, unless its first line is "-- no transaction": its statements (each ends at a line's end)
then run one by one, as CREATE INDEX CONCURRENTLY demands. A crash may leave such a file half done, and the next run
begins it anew: every statement of it must be able to run twice, and what builds an index drops the broken rest first.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import re
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import asyncpg

from services.database import AWAY, CONNECT_SECONDS, UNUSABLE, explain
from services.errors import MigrationError
from services.settings import DatabaseSettings

# Any number serves, as long as it is always this one: every replica of every version takes the same lock.
LOCK = 0x57A3_9C4A
RETRY_SECONDS = 0.5
# A step that waits for a table keeps everybody else waiting behind it; it gives way and tries again.
LOCK_TIMEOUT = "3s"

_FILE = re.compile(r"(\d{3})_([a-z0-9_]+)\.sql")
_NO_TRANSACTION = "-- no transaction"
_TABLE = """
CREATE TABLE IF NOT EXISTS stampchat_migrations (
  number integer PRIMARY KEY,
  name text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
);
ALTER TABLE stampchat_migrations ADD COLUMN IF NOT EXISTS checksum text
"""
_READ = "SELECT number, name, checksum FROM stampchat_migrations ORDER BY number"
_PRESENT = "SELECT to_regclass('stampchat_migrations') IS NOT NULL"
_DONE = "SELECT EXISTS (SELECT FROM stampchat_migrations WHERE number = $1)"
_RECORD = "INSERT INTO stampchat_migrations (number, name, checksum) VALUES ($1, $2, $3)"
_REMEMBER = "UPDATE stampchat_migrations SET checksum = $2 WHERE number = $1 AND checksum IS NULL"
# Asked for and not waited for: a statement that waits holds a snapshot, for whose end CREATE INDEX CONCURRENTLY waits.
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock($1)"

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Migration:
    """Hold one step.

    Attributes:
        number: its place in the order, from 1 without gaps.
        name: what it does.
        sql: any number of statements.
    """

    number: int
    name: str
    sql: str

    @property
    def title(self) -> str:
        """Return the file's name without its ending."""
        return f"{self.number:03}_{self.name}"

    @property
    def in_transaction(self) -> bool:
        """Say whether it runs as one transaction."""
        return not self.sql.startswith(_NO_TRANSACTION)

    @property
    def statements(self) -> list[str]:
        """Return the statements of a step without a transaction."""
        return [part for part in re.split(r";[ \t]*$", "\n".join(self._lines), flags=re.MULTILINE) if part.strip()]

    @property
    def checksum(self) -> str:
        """Return what tells it from any other; a comment may be worded anew."""
        return hashlib.sha256("\n".join(self._lines).encode()).hexdigest()

    @property
    def _lines(self) -> list[str]:
        lines = (line.rstrip() for line in self.sql.splitlines())
        return [line for line in lines if line and not line.lstrip().startswith("--")]


def load_migrations(folder: Path) -> list[Migration]:
    """Read NNN_name.sql in order.

    Raises:
        MigrationError: a file is misnamed, or the numbers have gaps or repeat.
    """
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = _FILE.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{path} is not named NNN_name.sql.")
        found.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
    if [migration.number for migration in found] != list(range(1, len(found) + 1)):
        raise MigrationError(f"The migrations in {folder} are not numbered 1, 2, 3, … without gaps.")
    return found


async def migrate(settings: DatabaseSettings, folder: Path) -> list[str]:
    """Wait for the database, apply what is missing, and return its names.

    A database that a newer version has migrated is accepted, so that a rollback can start: each step is safe with the
    version before it. Nothing at all is written when there is nothing to do.

    Raises:
        MigrationError: the database stays away, a step fails, or an applied step differs from its file.
    """
    migrations = load_migrations(folder)
    connection = await connect_when_up(settings)
    try:
        applied = await _Run(settings, connection).apply(migrations)
    finally:
        await connection.close()
    logger.info("the database is up to date", extra={"fields": {"applied": applied, "steps": len(migrations)}})
    return applied


async def connect_when_up(settings: DatabaseSettings) -> Connection:
    """Connect as the role that may change tables, waiting for a database that is still starting.

    Raises:
        MigrationError: it did not answer before the deadline, refuses our user, or is not the one that we trust.
    """
    deadline = time.monotonic() + settings.migrate_seconds
    while True:
        try:
            return await _connect(settings)
        except UNUSABLE as error:
            raise MigrationError(f"The database cannot be used: {explain(error)}.") from error
        except AWAY as error:
            if time.monotonic() > deadline:
                waited = settings.migrate_seconds
                raise MigrationError(f"The database did not answer within {waited} s: {explain(error)}.") from error
            logger.info("waiting for the database", extra={"fields": {"reason": explain(error)}})
        await asyncio.sleep(RETRY_SECONDS)


async def _connect(settings: DatabaseSettings) -> Connection:
    url = settings.migrate_url or settings.url
    # No statement is kept, so that a transaction pooler may stand in between.
    return await asyncpg.connect(url.reveal(), timeout=CONNECT_SECONDS, statement_cache_size=0)


class _Run:
    """Apply migrations over one connection, and a second one for what runs outside a transaction."""

    def __init__(self, settings: DatabaseSettings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._deadline = time.monotonic() + settings.migrate_seconds

    async def apply(self, migrations: Sequence[Migration]) -> list[str]:
        """Apply what is missing and return its names."""
        done = await self._read(migrations)
        missing = [migration for migration in migrations if migration.number not in done]
        return [migration.name for migration in missing if await self._apply_patiently(migration)]

    async def _read(self, migrations: Sequence[Migration]) -> Mapping[int, str]:
        """Return the names of what was applied, which is what our files say."""
        # Asked for first: a read of a table that is not there would stand in the server's log as an error.
        if not await self._connection.fetchval(_PRESENT):
            await self._make_table()
        try:
            rows = await self._connection.fetch(_READ)
        except asyncpg.UndefinedColumnError:
            await self._make_table()
            rows = await self._connection.fetch(_READ)
        ours = {migration.number: migration for migration in migrations}
        for row in rows:
            known = ours.get(row["number"])
            if known is None:
                logger.warning("the database is newer than this version", extra={"fields": {"step": row["name"]}})
            elif row["name"] != known.name:
                raise MigrationError(f"The database has applied {row['name']!r} where this version has {known.title}.")
            elif row["checksum"] is None:
                await self._connection.execute(_REMEMBER, known.number, known.checksum)
            elif row["checksum"] != known.checksum:
                raise MigrationError(f"Migration {known.title} was changed after it was applied; add another instead.")
        return {row["number"]: row["name"] for row in rows}

    async def _make_table(self) -> None:
        try:
            async with self._locked():
                await self._connection.execute(_TABLE)
        except asyncpg.PostgresError as error:
            raise MigrationError(f"The table stampchat_migrations cannot be made: {error}.") from error

    async def _apply_patiently(self, migration: Migration) -> bool:
        """Apply a step; begin anew when a table that it needs is held by somebody."""
        while True:
            try:
                return await self._apply(migration)
            except asyncpg.LockNotAvailableError as error:
                if time.monotonic() > self._deadline:
                    raise MigrationError(f"Migration {migration.title} waits for a lock: {error}.") from error
                logger.info("waiting for a lock", extra={"fields": {"step": migration.title}})
            except asyncpg.PostgresError as error:
                raise MigrationError(f"Migration {migration.title} failed: {error}.") from error
            except (OSError, asyncpg.InterfaceError) as error:
                raise MigrationError(f"Migration {migration.title} lost the database: {explain(error)}.") from error
            await asyncio.sleep(RETRY_SECONDS)

    async def _apply(self, migration: Migration) -> bool:
        """Apply a step unless another process has done so meanwhile.

        The lock lives for one transaction, which a transaction pooler allows as well.
        """
        async with self._locked():
            if await self._connection.fetchval(_DONE, migration.number):
                return False
            if migration.in_transaction:
                await self._connection.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                await self._connection.execute(migration.sql)
            else:
                await self._run_outside(migration)
            await self._connection.execute(_RECORD, migration.number, migration.name, migration.checksum)
            return True

    async def _run_outside(self, migration: Migration) -> None:
        """Run statement after statement on a connection of its own, while the first one keeps the lock."""
        await self._connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        connection = await _connect(self._settings)
        try:
            for statement in migration.statements:
                await connection.execute(statement)
        finally:
            await connection.close()

    @asynccontextmanager
    async def _locked(self) -> AsyncIterator[None]:
        """Hold the lock and a transaction."""
        while True:
            async with self._connection.transaction():
                if await self._connection.fetchval(_TRY_LOCK, LOCK):
                    yield
                    return
            await asyncio.sleep(RETRY_SECONDS / 10)
