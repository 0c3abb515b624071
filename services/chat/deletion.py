"""Forget a person: out of every room at once, then every word of theirs, then their name."""

# ruff: noqa: S608  # what is put together are constants; values are parameters
from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import asyncpg
from aiohttp import web

from services.chat.chat import Chat
from services.chat.happenings import NAMELESS
from services.chat.sql import NOW, PERSON
from services.database import Connection, Database
from services.errors import NotAuthenticated, NotFound
from services.web import json_response

# How much is done between two commits, and before the caller is asked to call again.
BATCH = 1000
CALL_SECONDS = 5.0

_FIND = f"SELECT u.id FROM users u WHERE {PERSON}"
_ROOMS = "SELECT channel_id FROM members WHERE user_id = $1 AND is_participant AND duplicate_of IS NULL ORDER BY id"
_PLACES = "SELECT id, channel_id FROM members WHERE user_id = $1 AND channel_id IS NOT NULL ORDER BY id"
# By the room, whose index has its messages in order: nothing else needs to find a member's messages.
_ERASE = f"""
WITH batch AS MATERIALIZED (
  SELECT id FROM messages
  WHERE channel_id = $1 AND member_id = $2 AND id > $3 AND deleted_at IS NULL AND type IS DISTINCT FROM 'chat_info'
  ORDER BY id LIMIT {BATCH}
), unstamped AS (
  DELETE FROM stamps WHERE message_id IN (SELECT id FROM batch)
), erased AS (
  UPDATE messages SET body = '', client_id = NULL, edited_at = NULL, deleted_at = {NOW}, updated_at = {NOW}
  WHERE id IN (SELECT id FROM batch)
)
SELECT max(id) FROM batch
"""
_STAMPS = f"""
WITH gone AS (
  DELETE FROM stamps WHERE id IN (
    SELECT s.id FROM stamps s JOIN members m ON m.id = s.member_id WHERE m.user_id = $1 LIMIT {BATCH}
  ) RETURNING id
)
SELECT count(*) FROM gone
"""
# What was said about the person, when they came and went.
_NAMES = "SELECT DISTINCT friendly_name FROM users WHERE (id = $1 OR duplicate_of = $1) AND friendly_name <> ''"
_INFO = """
SELECT id, body FROM messages
WHERE channel_id = $1 AND member_id = $2 AND type = 'chat_info' AND position($3 IN body) > 0 ORDER BY id
"""
_REWORD = f"""
UPDATE messages g SET body = new.body, updated_at = {NOW}
FROM unnest($1::bigint[], $2::text[]) AS new (id, body) WHERE g.id = new.id
"""
# A join holds the person's row against this until it is stored.
_HOLD = "SELECT id FROM users WHERE id = $1 OR duplicate_of = $1 ORDER BY id FOR UPDATE"
_TAKES_PART = "SELECT EXISTS (SELECT FROM members WHERE user_id = $1 AND is_participant)"
# A report that is still open keeps what it is about.
_FORGET_QUOTED = "UPDATE reports SET quoted = NULL WHERE reported_id = ANY($1) AND handled_at IS NOT NULL"
_RENAME = f"""
UPDATE users SET identity = 'deleted_' || id, friendly_name = NULL, deleted_at = {NOW}, updated_at = {NOW}
WHERE id = ANY($1::bigint[])
"""


@dataclass(frozen=True)
class _Person:
    id: int
    identity: str


class _OutOfTimeError(Exception):
    """End one call; what it has done stays done."""


class Deleter:
    """Delete people.

    Until the last step the person is found by their identity, so a deletion that is broken off is taken up by the next
    call; in the last step, one commit, the identity and the name go, and nothing is left to be found.

    Args:
        database: where everything is kept.
        chat: leaves rooms, live sockets included.
        call_seconds: how long one call may work.
    """

    def __init__(self, database: Database, chat: Chat, *, call_seconds: float = CALL_SECONDS) -> None:
        self._database = database
        self._chat = chat
        self._call_seconds = call_seconds

    async def delete(self, identity: str) -> bool:
        """Forget a person; whoever is not here, is forgotten already.

        Returns:
            Whether it is done; else call again.

        Raises:
            Unavailable: the database is away, or too much is waiting.
        """
        deadline = time.monotonic() + self._call_seconds
        async with self._database.connection() as connection:
            user_id = await connection.fetchval(_FIND, identity)
        if user_id is None:
            return True
        person = _Person(user_id, identity)
        try:
            # Again, should they have joined a room meanwhile.
            while True:
                await self._leave_rooms(person, deadline)
                await self._erase_words(person, deadline)
                if await self._close(person):
                    return True
                _check(deadline)
        except _OutOfTimeError:
            return False

    async def _leave_rooms(self, person: _Person, deadline: float) -> None:
        async with self._database.connection() as connection:
            rooms = [row["channel_id"] for row in await connection.fetch(_ROOMS, person.id)]
        for channel_id in rooms:
            # Another call, which deletes the same person, may have been faster.
            with suppress(NotFound, NotAuthenticated):
                await self._chat.leave_room(person.identity, channel_id)
            _check(deadline)

    async def _erase_words(self, person: _Person, deadline: float) -> None:
        async with self._database.connection() as connection:
            names = [row["friendly_name"] for row in await connection.fetch(_NAMES, person.id)]
            places = await connection.fetch(_PLACES, person.id)
        for place in places:
            last: int | None = 0
            while last is not None:
                async with self._commit() as connection:
                    last = await connection.fetchval(_ERASE, place["channel_id"], place["id"], last)
                _check(deadline)
            async with self._commit() as connection:
                for name in names:
                    await _reword(connection, place, name)
        more = BATCH
        while more:
            async with self._commit() as connection:
                more = await connection.fetchval(_STAMPS, person.id)
            _check(deadline)

    @asynccontextmanager
    async def _commit(self) -> AsyncIterator[Connection]:
        """Lend a connection for one commit, whose statements are planned for their values.

        A plan for any values, to which Postgres goes over after some calls, may read the whole table for a room of few
        messages, where one room has most of them.
        """
        async with self._database.transaction() as connection:
            await connection.execute("SET LOCAL plan_cache_mode = force_custom_plan")
            yield connection

    async def _close(self, person: _Person) -> bool:
        """Take the name away, unless the person takes part in a room again."""
        async with self._database.transaction() as connection:
            ids = [row["id"] for row in await connection.fetch(_HOLD, person.id)]
            if await connection.fetchval(_TAKES_PART, person.id):
                return False
            await connection.execute("DELETE FROM blocks WHERE blocker_id = ANY($1) OR blocked_id = ANY($1)", ids)
            await connection.execute(_FORGET_QUOTED, ids)
            await connection.execute(_RENAME, ids)
        return True


async def _reword(connection: Connection, place: asyncpg.Record, name: str) -> None:
    rows = await connection.fetch(_INFO, place["channel_id"], place["id"], name)
    bodies = [forget_name(row["body"], name) for row in rows]
    await connection.execute(_REWORD, [row["id"] for row in rows], bodies)


def forget_name(text: str, name: str) -> str:
    """Return a sentence about somebody without their name."""
    reworded, found = re.subn(rf"(?<!\w){re.escape(name)}(?!\w)", NAMELESS, text)
    # The wording may have put the name into a longer word.
    return reworded if found else text.replace(name, NAMELESS)


def _check(deadline: float) -> None:
    if time.monotonic() > deadline:
        raise _OutOfTimeError


DELETER = web.AppKey("deleter", Deleter)


def add_deletion_route(app: web.Application) -> None:
    """Add what the auth service calls; the application holds a DELETER."""
    # An identity may hold any character: the provider's id of the person is its second half.
    app.router.add_delete("/internal/users/{identity:.+}", delete_user)


async def delete_user(request: web.Request) -> web.Response:
    """Forget a person; "deleted": false asks to be called again."""
    return json_response({"deleted": await request.app[DELETER].delete(request.match_info["identity"])})
