"""Claim, read and clear the outbox on a real Postgres."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.chat import outbox as subject
from services.chat.models import Draft
from services.chat.outbox import CLAIM_ROWS, LEASE_SECONDS, Outbox
from services.chat.store import Store
from services.database import Database, open_database
from services.settings import DatabaseSettings

# Ada, Bob and Cy are members 1 to 3 of room 1; Ada and Dan are 4 and 5 of room 2; a room 3 has Ada alone, member 6.
ROWS = """
INSERT INTO users (identity, friendly_name, inserted_at, updated_at)
  SELECT name, initcap(name), now(), now() FROM unnest(ARRAY['ada', 'bob', 'cy', 'dan']) AS name;
INSERT INTO channels (topic, friendly_name, inserted_at, updated_at) VALUES
  ('one', 'One', now(), now()), ('two', 'Two', now(), now()), ('three', 'Three', now(), now());
INSERT INTO members (user_id, channel_id, inserted_at, updated_at) VALUES
  (1, 1, now(), now()), (2, 1, now(), now()), (3, 1, now(), now()),
  (1, 2, now(), now()), (4, 2, now(), now()), (1, 3, now(), now());
"""


@pytest.fixture
async def connection(database: DatabaseSettings) -> AsyncIterator[Any]:
    """Connect to a migrated database with a few people."""
    connection = await asyncpg.connect(database.url.reveal())
    await connection.execute(ROWS)
    yield connection
    await connection.close()


@pytest.fixture
async def opened(connection: Any, database: DatabaseSettings) -> AsyncIterator[Database]:
    """Open the service's pool."""
    del connection
    async with open_database(database) as opened:
        yield opened


@pytest.fixture
def looking() -> dict[str, set[str]]:
    """Say who is looking at which room."""
    return {}


@pytest.fixture
def outbox(opened: Database, looking: dict[str, set[str]]) -> Outbox:
    """Make an outbox."""
    return Outbox(opened, lambda topic: looking.get(topic, set()))


async def count(connection: Any) -> int:
    """Count rows of the outbox."""
    return int(await connection.fetchval("SELECT count(*) FROM push_outbox"))


async def test_a_commit_of_messages_is_one_row(opened: Database, connection: Any) -> None:
    """Nothing is written when nothing was stored, and what was stored before is not told again."""
    store = Store(opened)
    await store.add_messages([Draft(1, "a"), Draft(2, "b", "x"), Draft(99, "no member")])
    await store.add_messages([Draft(2, "b again", "x"), Draft(99, "no member")])

    rows = await connection.fetch("SELECT message_ids, attempts FROM push_outbox")
    ids = [row["id"] for row in await connection.fetch("SELECT id FROM messages ORDER BY id")]
    assert [tuple(row) for row in rows] == [(ids, 0)]
    assert len(ids) == 2


async def test_a_message_that_is_not_stored_is_not_in_the_outbox(opened: Database, connection: Any) -> None:
    """Both are one statement: what Postgres will not have leaves neither."""
    with pytest.raises(asyncpg.PostgresError):
        await Store(opened).add_messages([Draft(1, "fine"), Draft(1, "nul \x00")])

    assert await count(connection) == 0
    assert await connection.fetchval("SELECT count(*) FROM messages") == 0


async def test_what_everybody_sees_is_cleared_at_once(
    opened: Database, outbox: Outbox, connection: Any, looking: dict[str, set[str]]
) -> None:
    """Only messages of rooms where somebody is away are kept in hand."""
    looking |= {"room:one": {"ada", "bob", "cy"}, "room:two": {"ada"}, "room:three": {"ada"}}
    store = Store(opened)
    await store.add_messages([Draft(1, "seen")])
    await store.add_messages([Draft(2, "seen"), Draft(4, "for Dan"), Draft(6, "to herself")])

    claim = await outbox.claim()

    [row] = claim.rows
    said = await outbox.read(row.message_ids)
    assert [message.body for message in said] == ["for Dan"]
    assert {room: audience.away for room, audience in claim.audiences.items()} == {2: {"dan"}}
    assert await count(connection) == 1
    await outbox.clear(claim.rows)
    assert await count(connection) == 0
    assert not claim.is_full


async def test_two_dispatchers_share_and_neither_waits(opened: Database, outbox: Outbox, connection: Any) -> None:
    """A row is in one hand at a time, and free again when that hand is gone for so long."""
    store = Store(opened)
    for number in range(20):
        await store.add_messages([Draft(1, str(number))])

    claims = await asyncio.gather(outbox.claim(), outbox.claim(), outbox.claim())
    ids = [row.id for claim in claims for row in claim.rows]
    assert sorted(ids) == sorted(set(ids))
    assert len(ids) == 20
    assert (await outbox.claim()).rows == []

    await connection.execute("UPDATE push_outbox SET due_at = due_at - $1 * interval '1 second'", LEASE_SECONDS)
    again = await outbox.claim()
    assert len(again.rows) == 20
    assert {row.attempts for row in again.rows} == {1}
    await outbox.put_off(again.rows[:5], 0)
    assert len((await outbox.claim()).rows) == 5


async def test_who_hears_of_a_message(opened: Database, outbox: Outbox, connection: Any) -> None:
    """Nobody who was deleted or has left, none of whom its author is blocked by, and no tombstone."""
    await Store(opened).add_messages([Draft(1, "x" * 3000), Draft(2, "deleted"), Draft(3, "hi")])
    await connection.execute(
        "UPDATE messages SET deleted_at = now(), body = '' WHERE body = 'deleted';"
        "INSERT INTO blocks (blocker_id, blocked_id, inserted_at) VALUES (2, 1, now()), (4, 1, now())"
    )

    claim = await outbox.claim()
    said = await outbox.read(claim.rows[0].message_ids)

    assert [(one.author, one.sender, len(one.body), one.deaf) for one in said] == [
        ("ada", "Ada", 1000, {"bob"}),
        ("cy", "Cy", 2, frozenset()),
    ]
    assert claim.audiences[1].away == {"ada", "bob", "cy"}
    await outbox.put_off(claim.rows, 0)
    await connection.execute(
        "UPDATE members SET is_participant = false WHERE id = 2; UPDATE users SET deleted_at = now() WHERE id = 3"
    )
    assert (await outbox.claim()).audiences[1].away == {"ada"}


async def test_a_badge_is_for_whose_app_says_what_was_read(opened: Database, outbox: Outbox, connection: Any) -> None:
    """The published app never does, and a number that never goes away would be none of use."""
    await Store(opened).add_messages([Draft(1, "one"), Draft(1, "two"), Draft(4, "elsewhere")])
    assert await outbox.badges(["bob", "cy", "nobody"]) == {}

    await connection.execute("UPDATE members SET last_read_message_id = 1 WHERE id = 2")
    assert await outbox.badges(["bob", "cy"]) == {"bob": 1}


async def test_a_claim_is_bounded_and_the_gauge_tells(opened: Database, outbox: Outbox, connection: Any) -> None:
    """What a crash has left for hours is worked off piece by piece."""
    await Store(opened).add_messages([Draft(1, "hi")])
    await connection.execute(
        "INSERT INTO push_outbox (message_ids, due_at) SELECT ARRAY[1], now() - interval '1 hour'"
        " FROM generate_series(1, $1::int)",
        CLAIM_ROWS + 9,
    )

    rows, late_seconds = await outbox.count()
    assert rows == CLAIM_ROWS + 10
    assert late_seconds >= 3600
    assert (await outbox.claim()).is_full
    assert not (await outbox.claim()).is_full
    assert (await outbox.count())[1] == 0


async def test_every_statement_uses_an_index(connection: Any) -> None:
    """Read the plans where a sequential scan would be dear."""
    await connection.execute(
        """
        INSERT INTO users (identity, inserted_at, updated_at)
          SELECT 'u' || n, now(), now() FROM generate_series(1, 5000) n;
        INSERT INTO channels (topic, inserted_at, updated_at)
          SELECT 't' || n, now(), now() FROM generate_series(1, 5000) n;
        INSERT INTO members (channel_id, user_id, inserted_at, updated_at)
          SELECT c.id, u.id, now(), now() FROM channels c JOIN users u ON c.topic = replace(u.identity, 'u', 't');
        INSERT INTO messages (channel_id, member_id, body, inserted_at, updated_at)
          SELECT m.channel_id, m.id, 'x', now(), now() FROM members m, generate_series(1, 10);
        INSERT INTO blocks (blocker_id, blocked_id, inserted_at)
          SELECT u.id, u.id + 1, now() FROM users u WHERE u.id + 1 IN (SELECT id FROM users);
        INSERT INTO push_outbox (message_ids, due_at)
          SELECT ARRAY[g.id], now() + interval '1 hour' * (g.id % 100) FROM messages g;
        ANALYZE
        """
    )
    path: list[tuple[str, list[Any]]] = [
        (subject._DUE, [CLAIM_ROWS]),
        (subject._ROOMS, [[77, 78]]),
        (subject._LEASE, [[77], 30.0]),
        (subject._DROP, [[77]]),
        (subject._PUT_OFF, [[77], 30.0]),
        (subject._DONE, [[77]]),
        (subject._SAID, [[77, 78], 1000]),
        (subject._MARKERS, [["u77"]]),
        (subject._COUNT, [10]),
    ]
    for statement, arguments in path:
        plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN " + statement, *arguments))
        bounded = plan.replace("Seq Scan on push_outbox", "", 1) if statement is subject._COUNT else plan
        assert "Seq Scan" not in bounded, f"{statement}\n{plan}"
