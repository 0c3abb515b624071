"""Count what is unread on a real Postgres."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.chat import unread
from services.chat.unread import MOST, MOST_LOOKED_AT, MOST_OF_A_ROOM, UNREAD, unread_counts
from services.settings import DatabaseSettings

# Ada and Bob in rooms 1 and 2, Cy in room 1 alone; members 1 and 2 are Ada's, 3 and 4 Bob's, 5 is Cy's.
ROWS = """
INSERT INTO users (identity, friendly_name, inserted_at, updated_at)
  SELECT name, name, now(), now() FROM unnest(ARRAY['ada', 'bob', 'cy']) AS name;
INSERT INTO channels (topic, inserted_at, updated_at) VALUES ('one', now(), now()), ('two', now(), now());
INSERT INTO members (user_id, channel_id, inserted_at, updated_at) VALUES
  (1, 1, now(), now()), (1, 2, now(), now()), (2, 1, now(), now()), (2, 2, now(), now()), (3, 1, now(), now());
"""


@pytest.fixture
async def connection(database: DatabaseSettings) -> AsyncIterator[Any]:
    """Connect to a migrated database with a few people."""
    connection = await asyncpg.connect(database.url.reveal())
    await connection.execute(ROWS)
    yield connection
    await connection.close()


async def say(connection: Any, member_id: int, *, count: int = 1, type: str | None = "chat") -> None:  # noqa: A002  # the column's name
    """Store messages."""
    await connection.execute(
        "INSERT INTO messages (member_id, channel_id, body, type, inserted_at, updated_at)"
        " SELECT m.id, m.channel_id, 'hi', $3, now(), now() FROM members m, generate_series(1, $2::int)"
        " WHERE m.id = $1",
        member_id,
        count,
        type,
    )


async def test_what_others_said_since_is_unread(connection: Any) -> None:
    """One's own words, what happened in the room, tombstones and rooms that one has left are not."""
    await say(connection, 3, count=2)
    await say(connection, 4)
    await say(connection, 1)
    await say(connection, 5, type="chat_info")
    await say(connection, 5, type=None)
    assert await unread_counts(connection, ["ada", "bob", "cy", "nobody"]) == {"ada": 4, "bob": 2, "cy": 3}

    await connection.execute("UPDATE members SET last_read_message_id = 1 WHERE id = 1")
    assert await unread_counts(connection, ["ada"]) == {"ada": 3}
    await connection.execute("UPDATE messages SET deleted_at = now() WHERE id = 2")
    assert await unread_counts(connection, ["ada"]) == {"ada": 2}
    await connection.execute("UPDATE members SET is_participant = false WHERE id = 2")
    assert await unread_counts(connection, ["ada"]) == {"ada": 1}


async def test_whom_one_has_blocked_does_not_count(connection: Any) -> None:
    """What is never shown could never be read."""
    await say(connection, 3)
    await say(connection, 5)
    await connection.execute("INSERT INTO blocks (blocker_id, blocked_id, inserted_at) VALUES (1, 2, now())")

    assert await unread_counts(connection, ["ada", "cy"]) == {"ada": 1, "cy": 1}


async def test_one_room_at_a_time(connection: Any) -> None:
    """The same fragment serves a list of rooms."""
    await say(connection, 3, count=200)
    await say(connection, 4, count=3)

    rows = await connection.fetch(f"SELECT {UNREAD} AS unread FROM members m WHERE m.user_id = 1 ORDER BY m.id")  # noqa: S608  # ours
    assert [row["unread"] for row in rows] == [MOST_OF_A_ROOM, 3]
    assert (await unread_counts(connection, ["ada"]))["ada"] == MOST_OF_A_ROOM + 3 < MOST


async def test_the_count_reads_by_index_and_little(connection: Any) -> None:
    """However much somebody has left unread, a room costs its newest messages."""
    await say(connection, 4, count=5)
    await say(connection, 1, count=20_000)
    await connection.execute("ANALYZE")

    plan = "\n".join(
        row[0] for row in await connection.fetch(f"EXPLAIN (ANALYZE, TIMING OFF) {unread._COUNTS}", ["bob"])
    )
    assert "Seq Scan on messages" not in plan, plan
    assert max(float(rows) for rows in re.findall(r"actual rows=([\d.]+)", plan)) <= 2 * MOST_LOOKED_AT, plan
