"""Find and make users: one row a person, however many log in at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.auth.errors import AccountLeaving
from services.auth.identity import build_identity
from services.auth.providers import Profile
from services.database import Connection, Database

# Rows of the original's may repeat a uid: the oldest is the user.
_BY_UID = "SELECT id, uid, name, email, picture FROM users WHERE uid = $1 ORDER BY id LIMIT 1"
_BY_ID = """
SELECT id, uid, name, email, picture FROM users
WHERE id = $1 AND NOT EXISTS (SELECT FROM deletions WHERE deletions.uid = users.uid)
"""
_IS_LEAVING = "SELECT EXISTS (SELECT FROM deletions WHERE uid = $1)"
_INSERT = (
    "INSERT INTO users (uid, name, email, picture) VALUES ($1, $2, $3, $4) RETURNING id, uid, name, email, picture"
)
# There is no unique index to race against, so the first login of a uid, and its deletion, hold a lock on that uid. The
# first number keeps this lock apart from any other use of advisory locks in the database.
LOCK_UID = "SELECT pg_advisory_xact_lock(1001, hashtext($1))"
_UNMERGED = """
SELECT id, uid, name, email, picture FROM users WHERE uid = $1 AND id <> $2 AND merged_at IS NULL ORDER BY id
"""
_MARK_MERGED = "UPDATE users SET merged_at = now() WHERE id = ANY($1::integer[])"
_DELETE_AGAIN = "INSERT INTO deletions (uid, user_id, identities) VALUES ($1, $2, $3)"
_LEAVING = "This account is being deleted; log in again when that is done."
RETRY_SECONDS = 5


@dataclass(frozen=True)
class User:
    """Hold one user's row."""

    id: int
    uid: str
    name: str | None
    email: str | None
    picture: str | None

    @property
    def identity(self) -> str:
        """The key by which the other services know this user."""
        return build_identity(self.name, self.uid)

    def public(self) -> dict[str, Any]:
        """Return what the user and the other services may see: never the uid."""
        return {
            "id": self.id,
            "name": self.name,
            "email": self.email,
            "picture": self.picture,
            "identity": self.identity,
        }


class Store:
    """Read and write users.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, user_id: int) -> User | None:
        """Return a user by id, or nothing when they are gone or going."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_BY_ID, user_id)
        return None if row is None else _user(row)

    async def find_or_create(self, profile: Profile) -> User:
        """Return the user whom a profile describes, making the row at the first login.

        The row of a known user stays as it is: the identity is built from its name and must not change.

        Raises:
            AccountLeaving: their former account is being deleted.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_BY_UID, profile.uid)
            if row is None:
                row = await self._create(connection, profile)
            await _refuse_leaving(connection, profile.uid)
        return _user(row)

    async def find_unmerged(self, user: User) -> list[User]:
        """Return the other rows of the user's uid whose names the other services may still know."""
        async with self._database.connection() as connection:
            return [_user(row) for row in await connection.fetch(_UNMERGED, user.uid, user.id)]

    async def mark_merged(self, user_ids: Sequence[int]) -> None:
        """Remember that nothing elsewhere points at these rows any more."""
        async with self._database.connection() as connection:
            await connection.execute(_MARK_MERGED, list(user_ids))

    async def confirm(self, user: User) -> None:
        """Make sure, at the end of a login, that the user was not deleted meanwhile.

        The login has just told the chat service of them, maybe after the deletion did the opposite; so where nobody of
        this identity is left, the deletion is done once more.

        Raises:
            AccountLeaving: the user was deleted.
        """
        async with self._database.transaction() as connection:
            if await connection.fetchrow(_BY_ID, user.id) is not None:
                return
            await connection.execute(LOCK_UID, user.uid)
            row = await connection.fetchrow(_BY_UID, user.uid)
            if row is None or _user(row).identity != user.identity or row["id"] <= user.id:
                await connection.execute(_DELETE_AGAIN, user.uid, user.id, [user.identity])
        raise AccountLeaving(_LEAVING, retry_after=RETRY_SECONDS)

    async def _create(self, connection: Connection, profile: Profile) -> asyncpg.Record:
        async with connection.transaction():
            await connection.execute(LOCK_UID, profile.uid)
            await _refuse_leaving(connection, profile.uid)
            row = await connection.fetchrow(_BY_UID, profile.uid)
            if row is None:
                row = await connection.fetchrow(_INSERT, profile.uid, profile.name, profile.email, profile.picture)
        assert row is not None  # noqa: S101  # an INSERT … RETURNING returns its row
        return row


async def _refuse_leaving(connection: Connection, uid: str) -> None:
    if await connection.fetchval(_IS_LEAVING, uid):
        raise AccountLeaving(_LEAVING, retry_after=RETRY_SECONDS)


def _user(row: asyncpg.Record) -> User:
    return User(**dict(row))
