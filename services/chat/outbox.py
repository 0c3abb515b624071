"""Read the outbox of pushes: a row in it was written in the commit of the messages that it names, so none is lost."""

# ruff: noqa: S608  # the parts that are put together are constants of this file; values are parameters

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from services.chat.happenings import NAMELESS
from services.chat.names import room_topic
from services.chat.unread import unread_counts
from services.database import Connection, Database

if TYPE_CHECKING:
    import asyncpg

# Rows have up to a commit's messages each; of those only the ids are held all at once.
CLAIM_ROWS = 200
# How long a crash may keep what was in hand; handing over what was handed over already pushes nothing twice.
LEASE_SECONDS = 30.0
# A device shows a few lines, and FCM's whole payload has 4096 bytes.
BODY_CHARACTERS = 1000
# What a gauge counts to.
COUNT_ROWS = 10_000

# Without a lock: most rows are nobody's to hear of, and who takes the others is decided when they are taken.
_DUE = """
SELECT o.id, o.message_ids, o.attempts, ARRAY(
  SELECT g.channel_id FROM unnest(o.message_ids) WITH ORDINALITY AS n (id, place) LEFT JOIN messages g ON g.id = n.id
  ORDER BY n.place
) AS room_ids
FROM push_outbox o WHERE o.due_at <= now() ORDER BY o.due_at LIMIT $1
"""
_ROOMS = """
SELECT c.id, coalesce(c.topic, '') AS topic, coalesce(c.friendly_name, '') AS name, ARRAY(
  SELECT u.identity FROM members m JOIN users u ON u.id = m.user_id
  WHERE m.channel_id = c.id AND m.is_participant AND u.identity <> '' AND u.deleted_at IS NULL
) AS identities
FROM channels c WHERE c.id = ANY($1::bigint[])
"""
# Another replica may have read them too, and have been first.
_STILL_DUE = "SELECT id FROM push_outbox WHERE id = ANY($1::bigint[]) AND due_at <= now() FOR UPDATE SKIP LOCKED"
_LEASE = f"""
UPDATE push_outbox SET due_at = now() + $2 * interval '1 second', attempts = attempts + 1
WHERE id IN ({_STILL_DUE})
RETURNING id
"""
# Its commit does not wait for the disk, nor make a message wait for it: what a crash brings back is judged once more.
_DROP = f"""
DELETE FROM push_outbox
WHERE id IN ({_STILL_DUE}) AND (SELECT set_config('synchronous_commit', 'off', true)) = 'off'
"""
_PUT_OFF = "UPDATE push_outbox SET due_at = now() + $2 * interval '1 second' WHERE id = ANY($1::bigint[])"
_DONE = "DELETE FROM push_outbox WHERE id = ANY($1::bigint[])"
# A tombstone is pushed no more, and whom its author is blocked by does not hear of it.
_SAID = """
SELECT g.id, g.channel_id, left(g.body, $2) AS body, p.identity AS author, p.friendly_name AS sender, ARRAY(
  SELECT u.identity FROM blocks b
  JOIN users u ON u.id = b.blocker_id
  JOIN members o ON o.user_id = b.blocker_id AND o.channel_id = g.channel_id
  WHERE b.blocked_id = s.user_id
) AS deaf
FROM messages g
JOIN members s ON s.id = g.member_id
JOIN users p ON p.id = s.user_id
WHERE g.id = ANY($1::bigint[]) AND g.deleted_at IS NULL
ORDER BY g.id
"""
# The published app never says what it has read: a count of everything would stay on its icon for ever.
_MARKERS = """
SELECT u.identity FROM users u
WHERE u.identity = ANY($1::text[]) AND u.duplicate_of IS NULL
  AND EXISTS (SELECT FROM members m WHERE m.user_id = u.id AND m.last_read_message_id > 0)
"""
_COUNT = """
SELECT
  (SELECT count(*) FROM (SELECT FROM push_outbox LIMIT $1) AS w) AS rows,
  coalesce((SELECT extract(epoch FROM now() - min(due_at)) FROM push_outbox), 0)::float8 AS late_seconds
"""


@dataclass(frozen=True, slots=True)
class Row:
    """Be a row of the outbox.

    Attributes:
        id: of the row.
        message_ids: those of a commit that somebody is to hear of.
        attempts: how often it was claimed before.
    """

    id: int
    message_ids: list[int]
    attempts: int


@dataclass(frozen=True, slots=True)
class Audience:
    """Be a room, and those of its people who are not looking at it.

    Attributes:
        topic: the room's.
        name: the room's.
        away: identities.
    """

    topic: str
    name: str
    away: frozenset[str]


@dataclass(frozen=True, slots=True)
class Claim:
    """Be what a dispatcher has in hand.

    Attributes:
        rows: what is to be handed over.
        audiences: by the room's id.
        is_full: whether there may be more.
    """

    rows: list[Row]
    audiences: dict[int, Audience]
    is_full: bool


@dataclass(frozen=True, slots=True)
class Said:
    """Be a message as a push tells of it.

    Attributes:
        id: the message's.
        channel_id: the room's.
        body: its beginning.
        author: whose identity it is.
        sender: what the author is called.
        deaf: identities of those who have blocked the author.
    """

    id: int
    channel_id: int
    body: str
    author: str
    sender: str
    deaf: frozenset[str]


class Outbox:
    """Claim, read and clear rows.

    Args:
        database: where they are.
        looking: says who is looking at a room, by "room:<topic>", as Rooms.identities does.
    """

    def __init__(self, database: Database, looking: Callable[[str], Collection[str]]) -> None:
        self._database = database
        self._looking = looking

    async def claim(self) -> Claim:
        """Take rows that are due, clear those that nobody needs to hear of, and hold the others for a while."""
        async with self._database.connection() as connection:
            found = await connection.fetch(_DUE, CLAIM_ROWS)
            if not found:
                return Claim([], {}, is_full=False)
            audiences = await self._judge(connection, {room for row in found for room in row["room_ids"]} - {None})
            rows = [Row(row["id"], _pick(row, audiences), row["attempts"]) for row in found]
            if idle := [row.id for row in rows if not row.message_ids]:
                await connection.execute(_DROP, idle)
            if rows := [row for row in rows if row.message_ids]:
                leased = await connection.fetch(_LEASE, [row.id for row in rows], LEASE_SECONDS)
                ours = {row["id"] for row in leased}
                rows = [row for row in rows if row.id in ours]
        return Claim(rows, audiences, is_full=len(found) == CLAIM_ROWS)

    async def _judge(self, connection: Connection, room_ids: Collection[int]) -> dict[int, Audience]:
        """Return those of the rooms in which somebody is away."""
        audiences = {row["id"]: self._audience(row) for row in await connection.fetch(_ROOMS, list(room_ids))}
        return {room: audience for room, audience in audiences.items() if audience.away}

    def _audience(self, row: asyncpg.Record) -> Audience:
        away = frozenset(row["identities"]).difference(self._looking(room_topic(row["topic"])))
        return Audience(row["topic"], row["name"], away)

    async def read(self, message_ids: Sequence[int]) -> list[Said]:
        """Return what these messages say, oldest first."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_SAID, message_ids, BODY_CHARACTERS)
        return [
            Said(
                id=row["id"],
                channel_id=row["channel_id"],
                body=row["body"] or "",
                author=row["author"] or "",
                sender=row["sender"] or NAMELESS,
                deaf=frozenset(row["deaf"]),
            )
            for row in rows
        ]

    async def badges(self, identities: Iterable[str]) -> dict[str, int]:
        """Return how much each has not read, for those whose app says what they read."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_MARKERS, list(identities))
            return await unread_counts(connection, [row["identity"] for row in rows]) if rows else {}

    async def clear(self, rows: Iterable[Row]) -> None:
        """Forget rows that were handed over."""
        async with self._database.connection() as connection:
            await connection.execute(_DONE, [row.id for row in rows])

    async def put_off(self, rows: Iterable[Row], seconds: float) -> None:
        """Give rows back, to be claimed again later."""
        async with self._database.connection() as connection:
            await connection.execute(_PUT_OFF, [row.id for row in rows], seconds)

    async def count(self) -> tuple[int, float]:
        """Return how many rows there are, up to COUNT_ROWS, and for how many seconds the oldest has been due."""
        async with self._database.connection() as connection:
            row = await connection.fetchrow(_COUNT, COUNT_ROWS)
        assert row is not None  # noqa: S101  # a SELECT without FROM returns its row
        return row["rows"], max(0.0, row["late_seconds"])


def _pick(row: asyncpg.Record, audiences: Collection[int]) -> list[int]:
    """Return those of a row's messages that are in one of these rooms."""
    placed = zip(row["message_ids"], row["room_ids"], strict=True)
    return [message_id for message_id, room in placed if room in audiences]
