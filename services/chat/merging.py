"""Make one person of two whom the original stored under different names."""

from __future__ import annotations

from services.chat.sql import NOW, PERSON
from services.database import Connection, Database
from services.errors import NotFound

_FIND = f"SELECT u.id FROM users u WHERE {PERSON}"  # noqa: S608  # a constant
# In the order of their ids, as everybody who holds two.
_HOLD = "SELECT id FROM users WHERE id IN ($1, $2) ORDER BY id FOR UPDATE"
# $1 stays, and $2 becomes its duplicate. Where both have a place in a room, the place of $2 becomes a duplicate, too.
# (A statement that does not need $1 names it all the same, since every step gets the same two values.)
_STEPS = (
    f"""
    UPDATE members i SET
      is_participant = i.is_participant IS TRUE OR f.is_participant IS TRUE,
      participant_since = CASE
        WHEN i.is_participant IS TRUE AND f.is_participant IS TRUE THEN least(i.participant_since, f.participant_since)
        WHEN f.is_participant IS TRUE THEN f.participant_since
        ELSE i.participant_since
      END,
      removed_at = CASE
        WHEN i.is_participant IS TRUE OR f.is_participant IS TRUE THEN NULL ELSE coalesce(i.removed_at, f.removed_at)
      END,
      last_read_message_id = greatest(i.last_read_message_id, f.last_read_message_id),
      updated_at = {NOW}
    FROM members f
    WHERE i.user_id = $1 AND i.duplicate_of IS NULL AND f.user_id = $2 AND f.duplicate_of IS NULL
      AND f.channel_id = i.channel_id
    """,  # noqa: S608  # the same
    f"""
    UPDATE members f SET duplicate_of = i.id, is_participant = false, updated_at = {NOW}
    FROM members i
    WHERE i.user_id = $1 AND i.duplicate_of IS NULL AND f.user_id = $2 AND f.duplicate_of IS NULL
      AND f.channel_id = i.channel_id
    """,  # noqa: S608  # the same
    # A duplicate of what has become a duplicate is one of the place that stays.
    """
    UPDATE members d SET duplicate_of = f.duplicate_of
    FROM members f
    WHERE f.user_id = $2 AND f.duplicate_of IS NOT NULL AND d.user_id = $2 AND d.duplicate_of = f.id
      AND $1::bigint IS NOT NULL
    """,
    "UPDATE members SET user_id = $1 WHERE user_id = $2",
    """
    INSERT INTO blocks (blocker_id, blocked_id, inserted_at)
    SELECT CASE blocker_id WHEN $2 THEN $1 ELSE blocker_id END, CASE blocked_id WHEN $2 THEN $1 ELSE blocked_id END,
      inserted_at
    FROM blocks WHERE $2 IN (blocker_id, blocked_id) AND $1 NOT IN (blocker_id, blocked_id)
    ON CONFLICT DO NOTHING
    """,
    "DELETE FROM blocks WHERE $2 IN (blocker_id, blocked_id) AND $1::bigint IS NOT NULL",
    "UPDATE reports SET reporter_id = $1 WHERE reporter_id = $2",
    "UPDATE reports SET reported_id = $1 WHERE reported_id = $2",
    f"UPDATE users SET duplicate_of = $1, updated_at = {NOW} WHERE id = $2 OR duplicate_of = $2",  # noqa: S608  # the same
)


class Merger:
    """Merge people.

    Args:
        database: where everything is kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def merge(self, into: str, gone: str) -> None:
        """Let one person have the places, words, blocks and reports of another; again is once.

        Raises:
            NotFound: nobody has the identity that is to stay.
        """
        async with self._database.transaction() as connection:
            into_id = await connection.fetchval(_FIND, into)
            if into_id is None:
                raise NotFound("Nobody here has the identity that is to stay.", code="unknown_user")
            gone_id = await connection.fetchval(_FIND, gone)
            if gone_id is not None and gone_id != into_id:
                await _merge(connection, into_id, gone_id, gone)


async def _merge(connection: Connection, into_id: int, gone_id: int, gone: str) -> None:
    await connection.execute(_HOLD, into_id, gone_id)
    # Another call may have done it before we held the two.
    if await connection.fetchval(_FIND, gone) == gone_id:
        for step in _STEPS:
            await connection.execute(step, into_id, gone_id)
