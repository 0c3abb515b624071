"""Remember which devices are whose."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import asyncpg

from services.clock import iso
from services.database import Database
from services.notifications.deletion import refuse_departed

_FIND = """
SELECT id, inserted_at, identity, fcm_token FROM tokens WHERE identity = $1 AND fcm_token = $2 ORDER BY id LIMIT 1
"""
_INSERT = """
INSERT INTO tokens (identity, fcm_token) VALUES ($1, $2) RETURNING id, inserted_at, identity, fcm_token
"""
# There is no unique index to race against, so whoever registers a device holds a lock on it.
_LOCK = "SELECT pg_advisory_xact_lock(1002, hashtext($1))"
# A phone that changes hands must not go on showing the former owner's messages.
_DISOWN = "DELETE FROM tokens WHERE fcm_token = $2 AND identity <> $1"
_DEVICES = "SELECT DISTINCT fcm_token FROM tokens WHERE identity = ANY($1::text[]) ORDER BY fcm_token"


@dataclass(frozen=True)
class Device:
    """Hold one row: a device of a person."""

    id: int
    inserted_at: datetime | None
    identity: str
    fcm_token: str

    def public(self) -> dict[str, Any]:
        """Return the row as the wire has it."""
        return {
            "id": self.id,
            # The original's column allows null.
            "inserted_at": None if self.inserted_at is None else iso(self.inserted_at),
            "identity": self.identity,
            "fcm_token": self.fcm_token,
        }


class Store:
    """Read and write devices.

    Args:
        database: where they are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def register(self, identity: str, token: str, *, minted_at: int | None = None) -> Device:
        """Make a device this person's and nobody else's; again is once.

        Args:
            identity: whose it is.
            token: what FCM calls it.
            minted_at: the iat of the session token that vouches for the person.

        Raises:
            NotAuthenticated: the session token is older than the person's deletion.
        """
        async with self._database.transaction() as connection:
            if minted_at is not None:
                await refuse_departed(connection, identity, minted_at)
            await connection.execute(_LOCK, token)
            await connection.execute(_DISOWN, identity, token)
            row = await connection.fetchrow(_FIND, identity, token)
            if row is None:
                row = await connection.fetchrow(_INSERT, identity, token)
        assert row is not None  # noqa: S101  # an INSERT … RETURNING returns its row
        return _device(row)

    async def unregister(self, identity: str, token: str | None) -> None:
        """Forget one device of a person, or all of them."""
        async with self._database.connection() as connection:
            if token is None:
                await connection.execute("DELETE FROM tokens WHERE identity = $1", identity)
            else:
                await connection.execute("DELETE FROM tokens WHERE identity = $1 AND fcm_token = $2", identity, token)

    async def devices(self, identities: Sequence[str]) -> list[str]:
        """Return the tokens of every device of these people, each once."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_DEVICES, list(identities))
        return [row["fcm_token"] for row in rows]

    async def forget(self, tokens: Sequence[str]) -> None:
        """Forget devices that the provider no longer knows."""
        async with self._database.connection() as connection:
            await connection.execute("DELETE FROM tokens WHERE fcm_token = ANY($1::text[])", list(tokens))


def _device(row: asyncpg.Record) -> Device:
    return Device(**dict(row))
