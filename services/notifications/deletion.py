"""Forget a person's devices and what waits for them, and let no token from before bring one back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
from aiohttp import web

from services.database import Connection, Database
from services.errors import Invalid, NotAuthenticated
from services.tokens import LEEWAY_SECONDS, LIFETIME_SECONDS
from services.web import json_response

# Whoever registers a device, or is deleted, holds a lock on the person: the one sees what the other did.
_LOCK = "SELECT pg_advisory_xact_lock(1003, hashtext($1))"
_REMEMBER = """
INSERT INTO departures (identity, minted_before, forget_at) VALUES ($1, $2, $3)
ON CONFLICT (identity) DO UPDATE SET
  minted_before = greatest(departures.minted_before, excluded.minted_before),
  forget_at = greatest(departures.forget_at, excluded.forget_at)
"""
_IS_FROM_BEFORE = "SELECT EXISTS (SELECT FROM departures WHERE identity = $1 AND minted_before > $2)"
# After this nothing from before a departure verifies any more.
_LONGEST = timedelta(seconds=LIFETIME_SECONDS + LEEWAY_SECONDS)


async def refuse_departed(connection: Connection, identity: str, minted_at: int) -> None:
    """Refuse a token that a person held before their account was deleted; call this inside the registering transaction.

    Args:
        connection: of the transaction.
        identity: whose token it is.
        minted_at: its iat.

    Raises:
        NotAuthenticated: it is such a token.
    """
    await connection.execute(_LOCK, identity)
    if await connection.fetchval(_IS_FROM_BEFORE, identity, datetime.fromtimestamp(minted_at, UTC)):
        raise NotAuthenticated("This account was deleted; log in again.", code="unknown_user")


class Deleter:
    """Forget people.

    Args:
        database: where their devices are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def delete(self, identity: str, minted_before: datetime) -> None:
        """Forget a person; again is once.

        Args:
            identity: whose devices and waiting pushes go.
            minted_before: tokens from before this moment register no device.
        """
        async with self._database.transaction() as connection:
            await connection.execute(_LOCK, identity)
            await connection.execute(_REMEMBER, identity, minted_before, minted_before + _LONGEST)
            await connection.execute("DELETE FROM tokens WHERE identity = $1", identity)
            await connection.execute("DELETE FROM deliveries WHERE identity = $1", identity)
            await connection.execute("DELETE FROM departures WHERE forget_at < now()")


DELETER = web.AppKey("deleter", Deleter)


def add_deletion_route(app: web.Application) -> None:
    """Add what the auth service calls; the application holds a DELETER."""
    # An identity may hold any character: the provider's id of the person is its second half.
    app.router.add_delete("/internal/users/{identity:.+}", delete_user)


async def delete_user(request: web.Request) -> web.Response:
    """Forget a person."""
    try:
        minted_before = msgspec.convert(int(request.query["minted_before"]), datetime, strict=False)
    except (KeyError, ValueError) as error:
        raise Invalid("The parameter minted_before must be seconds since 1970.") from error
    await request.app[DELETER].delete(request.match_info["identity"], minted_before)
    return json_response({"deleted": True})
