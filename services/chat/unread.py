"""Count what a person has not read yet, the same way for a badge and for a list of rooms."""

# ruff: noqa: S608  # the parts that are put together are constants of this file; values are parameters

from __future__ import annotations

from collections.abc import Iterable

from services.database import Connection

# A badge that says 99 has said it all. The newest messages of a room are looked at and no more, so that somebody who
# never says what they have read (the published app does not) costs no more than anybody else.
MOST_OF_A_ROOM = 99
MOST_LOOKED_AT = 300
MOST = 999

# In the order of the room's own index, which the planner can have in no other way, whatever it believes of the room.
_ONES = f"""
  SELECT FROM (
    SELECT g.member_id, g.type, g.deleted_at FROM messages g
    WHERE (g.channel_id, g.id) > (m.channel_id, m.last_read_message_id) AND g.channel_id <= m.channel_id
    ORDER BY g.channel_id DESC, g.id DESC LIMIT {MOST_LOOKED_AT}
  ) AS g
  WHERE g.member_id <> m.id AND coalesce(g.type, 'chat') = 'chat' AND g.deleted_at IS NULL
    AND NOT EXISTS (
      SELECT FROM blocks b JOIN members author ON author.user_id = b.blocked_id
      WHERE b.blocker_id = m.user_id AND author.id = g.member_id
    )
  LIMIT {MOST_OF_A_ROOM}
"""

# What the participant m has not read in their room: what others said after m.last_read_message_id, without tombstones
# and without those whom they have blocked.
UNREAD = f"(SELECT count(*) FROM ({_ONES}) AS unread)"

_COUNTS = f"""
SELECT u.identity, (
  SELECT count(*) FROM (
    SELECT FROM members m CROSS JOIN LATERAL ({_ONES}) AS unread
    WHERE m.user_id = u.id AND m.is_participant
    LIMIT {MOST}
  ) AS unread
) AS unread
FROM users u
WHERE u.identity = ANY($1::text[]) AND u.duplicate_of IS NULL AND u.deleted_at IS NULL
"""


async def unread_counts(connection: Connection, identities: Iterable[str]) -> dict[str, int]:
    """Return how many messages each of these people has not read, over all rooms where they take part.

    Whom the database does not know is left out.
    """
    rows = await connection.fetch(_COUNTS, list(set(identities)))
    return {row["identity"]: row["unread"] for row in rows}
