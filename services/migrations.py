"""Bring a database up to date with numbered SQL files, safely when many start at once."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from services.database import AWAY, CONNECT_SECONDS
from services.errors import MigrationError
from services.settings import DatabaseSettings

# Any number serves, as long as it is always this one: every replica of every version takes the same lock.
LOCK = 0x57A3_9C4A
RETRY_SECONDS = 0.5

_FILE = re.compile(r"(\d{3})_([a-z0-9_]+)\.sql")
_TABLE = """
CREATE TABLE IF NOT EXISTS stampchat_migrations (
  number integer PRIMARY KEY,
  name text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)
"""
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Migration:
    """Hold one step.

    Attributes:
        number: its place in the order, from 1 without gaps.
        name: what it does.
        sql: any number of statements; they run in one transaction.
    """

    number: int
    name: str
    sql: str


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


async def apply_migrations(
    connection: asyncpg.Connection[asyncpg.Record], migrations: Sequence[Migration]
) -> list[str]:
    """Apply what is missing and return its names.

    Each step takes the lock for its own transaction only, which a transaction pooler allows as well, and looks again
    whether another process has applied it meanwhile.

    Raises:
        MigrationError: a step failed; it left nothing behind, and the steps before it stay.
    """
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        await connection.execute(_TABLE)
    applied = []
    for migration in migrations:
        try:
            if await _apply(connection, migration):
                applied.append(migration.name)
        except asyncpg.PostgresError as error:
            raise MigrationError(f"Migration {migration.number:03}_{migration.name} failed: {error}") from error
    return applied


async def _apply(connection: asyncpg.Connection[asyncpg.Record], migration: Migration) -> bool:
    async with connection.transaction():
        await connection.execute("SELECT pg_advisory_xact_lock($1)", LOCK)
        done = "SELECT EXISTS (SELECT FROM stampchat_migrations WHERE number = $1)"
        if await connection.fetchval(done, migration.number):
            return False
        await connection.execute(migration.sql, timeout=None)
        insert = "INSERT INTO stampchat_migrations (number, name) VALUES ($1, $2)"
        await connection.execute(insert, migration.number, migration.name)
        return True


async def connect_when_up(settings: DatabaseSettings) -> asyncpg.Connection[asyncpg.Record]:
    """Connect, waiting for a database that is still starting.

    Raises:
        MigrationError: it did not answer before the deadline, or refuses our user.
    """
    deadline = time.monotonic() + settings.migrate_seconds
    while True:
        try:
            return await asyncpg.connect(settings.url.reveal(), timeout=CONNECT_SECONDS, statement_cache_size=0)
        except (asyncpg.InvalidPasswordError, asyncpg.ClientConfigurationError, ValueError) as error:
            raise MigrationError(f"The database cannot be used: {error}") from error
        except AWAY as error:
            if time.monotonic() > deadline:
                waited = settings.migrate_seconds
                raise MigrationError(f"The database did not answer within {waited} s: {error}") from error
            logger.info("waiting for the database", extra={"fields": {"reason": str(error) or type(error).__name__}})
        await asyncio.sleep(RETRY_SECONDS)


async def migrate(settings: DatabaseSettings, folder: Path) -> list[str]:
    """Wait for the database, apply what is missing, and return its names.

    Raises:
        MigrationError: the database stays away, or a step fails.
    """
    migrations = load_migrations(folder)
    connection = await connect_when_up(settings)
    try:
        applied = await apply_migrations(connection, migrations)
    finally:
        await connection.close()
    logger.info("the database is up to date", extra={"fields": {"applied": applied, "steps": len(migrations)}})
    return applied
