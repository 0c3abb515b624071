"""Remember which accounts are to be deleted, until nothing of them is left."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from services.auth.store import LOCK_UID, User
from services.database import Connection, Database

# Between two attempts, doubling from the first to the second of these.
LEAST_PAUSE_SECONDS = 1.0
MOST_PAUSE_SECONDS = 300.0

_ROWS = "SELECT id, uid, name, email, picture FROM users WHERE uid = (SELECT uid FROM users WHERE id = $1) ORDER BY id"
_IS_PENDING = "SELECT EXISTS (SELECT FROM deletions WHERE uid = $1)"
_REQUEST = "INSERT INTO deletions (uid, user_id, identities) VALUES ($1, $2, $3)"
# Held until the transaction ends: another process skips the row, and gets it at once when this one is killed.
_CLAIM = """
SELECT id, uid, user_id, identities, requested_at, attempts FROM deletions
WHERE due_at <= now() AND ($1::text IS NULL OR uid = $1)
ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""
_PUT_OFF = (
    "UPDATE deletions SET attempts = attempts + 1, due_at = clock_timestamp() + make_interval(secs => $2) WHERE id = $1"
)


@dataclass(frozen=True)
class Deletion:
    """Hold one account's deletion.

    Attributes:
        id: its row.
        uid: the provider's id of the person.
        user_id: the newest row of users that goes.
        identities: every name under which the other services know the person.
        requested_at: tokens from before are good for nothing.
        attempts: how many have failed.
    """

    id: int
    uid: str
    user_id: int
    identities: tuple[str, ...]
    requested_at: datetime
    attempts: int


class Deletions:
    """Read and write the deletions that are under way.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def request(self, user_id: int, identity: str) -> str | None:
        """Begin the deletion of an account, from which moment nobody can log in to it; again is once.

        Args:
            user_id: of any of the person's rows.
            identity: of the person, for an id that a restored database gave to somebody else.

        Returns:
            The uid of the person; nothing when they are gone already.
        """
        async with self._database.transaction() as connection:
            users = await _find_users(connection, user_id)
            if not users or identity not in {user.identity for user in users}:
                return None
            uid = users[0].uid
            await connection.execute(LOCK_UID, uid)
            # Again, now that no login of this uid can add one.
            users = await _find_users(connection, user_id)
            if users and not await connection.fetchval(_IS_PENDING, uid):
                identities = sorted({user.identity for user in users})
                await connection.execute(_REQUEST, uid, users[-1].id, identities)
        return uid

    async def is_pending(self, uid: str) -> bool:
        """Say whether something of an account is left to be deleted."""
        async with self._database.connection() as connection:
            return bool(await connection.fetchval(_IS_PENDING, uid))

    async def count(self) -> int:
        """Count the accounts that are being deleted."""
        async with self._database.connection() as connection:
            return int(await connection.fetchval("SELECT count(*) FROM deletions"))

    @asynccontextmanager
    async def claim(self, uid: str | None = None) -> AsyncIterator[tuple[Connection, Deletion | None]]:
        """Hold one deletion that is due and that nobody else holds, if there is any.

        The transaction stays open while other services are called, for seconds at most: a lease in its stead would have
        to run out before anybody could take over from a process that was killed.

        Args:
            uid: whose; anybody's unless told.
        """
        async with self._database.transaction() as connection:
            row = await connection.fetchrow(_CLAIM, uid)
            yield connection, None if row is None else _deletion(row)

    @staticmethod
    async def put_off(connection: Connection, deletion: Deletion) -> None:
        """Try again later; the more attempts have failed, the later."""
        pause = min(MOST_PAUSE_SECONDS, LEAST_PAUSE_SECONDS * 2 ** min(deletion.attempts, 16))
        # Spread, so that those which failed together do not come back together.
        await connection.execute(_PUT_OFF, deletion.id, pause * random.uniform(0.5, 1))  # noqa: S311  # no secret

    @staticmethod
    async def finish(connection: Connection, deletion: Deletion) -> None:
        """Remove the account's own rows and, in the same commit, the promise to do so."""
        await connection.execute(LOCK_UID, deletion.uid)
        await connection.execute("DELETE FROM users WHERE uid = $1 AND id <= $2", deletion.uid, deletion.user_id)
        await connection.execute("DELETE FROM deletions WHERE id = $1", deletion.id)


async def _find_users(connection: Connection, user_id: int) -> list[User]:
    return [User(**dict(row)) for row in await connection.fetch(_ROWS, user_id)]


def _deletion(row: asyncpg.Record) -> Deletion:
    return Deletion(**{**dict(row), "identities": tuple(row["identities"])})
