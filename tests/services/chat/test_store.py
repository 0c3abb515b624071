"""Adopt a database that the original left, and store in one commit what came in one batch."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import asyncpg
import pytest

from services.chat import sql
from services.chat.errors import Refusal
from services.chat.models import Draft, NewStamp, Stored
from services.chat.store import Store
from services.database import open_database
from services.migrations import migrate
from services.settings import DatabaseSettings
from tests.services.chat.conftest import MIGRATIONS
from tests.services.conftest import MakeDatabase

# Column for column what the original's migrations make.
ORIGINAL = """
CREATE TABLE schema_migrations (version bigint PRIMARY KEY, inserted_at timestamp(0) without time zone);
INSERT INTO schema_migrations VALUES (20210105180418, '2021-01-05 18:05:00');
CREATE TABLE users (id bigserial PRIMARY KEY, inserted_at timestamp(0) NOT NULL, updated_at timestamp(0) NOT NULL,
  identity varchar(255), friendly_name varchar(255));
CREATE TABLE channels (id bigserial PRIMARY KEY, inserted_at timestamp(0) NOT NULL, updated_at timestamp(0) NOT NULL,
  topic varchar(255), friendly_name varchar(255));
CREATE TABLE members (id bigserial PRIMARY KEY, inserted_at timestamp(0) NOT NULL, updated_at timestamp(0) NOT NULL,
  channel_id bigint REFERENCES channels (id), user_id bigint REFERENCES users (id),
  is_participant boolean DEFAULT true);
CREATE TABLE messages (id bigserial PRIMARY KEY, inserted_at timestamp(0) NOT NULL, updated_at timestamp(0) NOT NULL,
  body text, member_id bigint REFERENCES members (id), channel_id bigint REFERENCES channels (id),
  type text DEFAULT 'chat');
CREATE TABLE stamps (id bigserial PRIMARY KEY, inserted_at timestamp(0) NOT NULL, updated_at timestamp(0) NOT NULL,
  word varchar(255) NOT NULL, x_pos double precision NOT NULL, y_pos double precision NOT NULL,
  member_id bigint NOT NULL REFERENCES members (id), channel_id bigint NOT NULL REFERENCES channels (id),
  strength double precision DEFAULT 0.0, message_id bigint NOT NULL REFERENCES messages (id));
CREATE TABLE chat_info_messages (id bigserial PRIMARY KEY, inserted_at timestamp(0) NOT NULL,
  updated_at timestamp(0) NOT NULL, body varchar(255) NOT NULL, type varchar(255) NOT NULL);
"""
# Bob twice, Ada in one room twice and once more through a second row of hers, a room without members, nulls.
ROWS = """
INSERT INTO users (identity, friendly_name, inserted_at, updated_at) VALUES
  ('ada', 'Ada', '2021-02-01', '2021-02-01'), ('bob', 'Bob', '2021-02-01', '2021-02-01'),
  ('bob', 'Bob again', '2021-02-02', '2021-02-02'), ('ada', 'Ada again', '2021-02-02', '2021-02-02'),
  (NULL, NULL, '2021-02-02', '2021-02-02'), (NULL, NULL, '2021-02-02', '2021-02-02');
INSERT INTO channels (topic, friendly_name, inserted_at, updated_at) VALUES
  ('old_room_ab12cd34', 'Old room', '2021-02-01', '2021-02-01'), ('empty', 'Empty', '2021-02-01', '2021-02-01'),
  (NULL, NULL, '2021-02-01', '2021-02-01');
INSERT INTO members (channel_id, user_id, is_participant, inserted_at, updated_at) VALUES
  (1, 1, false, '2021-02-01', '2021-02-01'), (1, 1, true, '2021-02-01', '2021-02-01'),
  (1, 3, true, '2021-02-01', '2021-02-01'), (1, 4, false, '2021-02-01', '2021-02-01'),
  (NULL, NULL, NULL, '2021-02-01', '2021-02-01'), (3, 1, NULL, '2021-02-01', '2021-02-01');
INSERT INTO messages (body, member_id, channel_id, type, inserted_at, updated_at) VALUES
  ('first', 1, 1, 'chat', '2021-02-01 10:15:00', '2021-02-01'), ('second', 4, 1, NULL, '2021-02-01', '2021-02-01'),
  (NULL, NULL, 1, 'chat_info', '2021-02-01', '2021-02-01'), ('lost', NULL, NULL, 'chat', '2021-02-01', '2021-02-01');
INSERT INTO stamps (word, x_pos, y_pos, member_id, channel_id, strength, message_id, inserted_at, updated_at) VALUES
  ('first', 1.5, 2, 3, 1, NULL, 1, '2021-02-01', '2021-02-01');
INSERT INTO chat_info_messages (body, type, inserted_at, updated_at) VALUES
  ('Look, ${name}', 'join_chat', '2021-02-01', '2021-02-01');
"""
TABLES = ("users", "channels", "members", "messages", "stamps", "chat_info_messages", "schema_migrations")


@pytest.fixture
async def database(make_database: MakeDatabase) -> DatabaseSettings:
    """Make one empty database: what migrates it is tested."""
    return await make_database()


@pytest.fixture
async def connection(database: DatabaseSettings) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Connect to the test's database."""
    connection = await asyncpg.connect(database.url.reveal())
    yield connection
    await connection.close()


@pytest.fixture
async def adopted(database: DatabaseSettings, connection: asyncpg.Connection[asyncpg.Record]) -> AsyncIterator[Store]:
    """Open the store on what the original left."""
    await connection.execute(ORIGINAL + ROWS)
    before = {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}  # noqa: S608  # ours
    assert await migrate(database, MIGRATIONS)
    assert await migrate(database, MIGRATIONS) == []
    after = {table: await connection.fetchval(f"SELECT count(*) FROM {table}") for table in TABLES}  # noqa: S608  # ours
    assert after == before
    async with open_database(database) as pool:
        yield Store(pool)


@pytest.fixture
async def store(database: DatabaseSettings) -> AsyncIterator[Store]:
    """Open the store on an empty database, with two rooms, three people and their seats 1 to 4."""
    await migrate(database, MIGRATIONS)
    async with open_database(database) as pool:
        store = Store(pool)
        for name in ("ada", "bob", "eve"):
            await store.ensure_user(name, name.title())
        await store.create_room("ada", "One", "one")
        await store.create_room("eve", "Two", "two")
        await store.join_room("bob", "one")
        await store.join_room("ada", "two")
        yield store


async def test_what_the_original_left_is_adopted_whole(adopted: Store) -> None:
    """Keep every row, with one person and one membership that count and the author of every message."""
    (room,) = await adopted.list_rooms("ada")
    page = await adopted.page("bob", 1)

    assert (room.id, room.topic, room.friendly_name) == (1, "old_room_ab12cd34", "Old room")
    assert [message.body for message in page.messages] == ["", "second", "first"]
    assert [message.type for message in page.messages] == ["chat_info", "chat", "chat"]
    authors = {member.id: member.user.friendly_name for member in page.members}
    assert authors == {1: "Ada", 2: "Ada", 3: "Bob", 4: "Ada"}
    assert page.messages[2].stamps[0].strength == 0.0
    assert page.messages[2].inserted_at.isoformat() == "2021-02-01T10:15:00"
    assert page.is_last_message


async def test_an_adopted_person_is_one_person(adopted: Store, connection: asyncpg.Connection[asyncpg.Record]) -> None:
    """Take the oldest row for login, leave and return, and the wording that was there."""
    assert (await adopted.ensure_user("bob", "New Bob")).id == 2

    await adopted.leave_room("ada", 1)
    gone = await adopted.find_seat("ada", "old_room_ab12cd34")
    change = await adopted.join_room("ada", "old_room_ab12cd34")

    assert gone is None
    assert change.stored is not None
    assert (change.stored.message.body, change.stored.message.member_id) == ("Look, Ada", 1)
    participants = "SELECT array_agg(id ORDER BY id) FROM members WHERE channel_id = 1 AND is_participant"
    assert await connection.fetchval(participants) == [1, 3]
    assert await adopted.find_seat("ada", "empty") is None


async def test_the_fallback_wording_is_used_where_there_is_none(adopted: Store) -> None:
    """Say it plainly."""
    change = await adopted.leave_room("bob", 1)

    assert change.stored is not None
    assert change.stored.message.body == "Bob has left the chat"


async def test_a_batch_is_stored_in_its_order(store: Store) -> None:
    """Return each draft's message in its place, with rising ids."""
    drafts = [Draft(1 + number % 4, f"m{number}") for number in range(20)]

    results = await store.add_messages(drafts)

    messages = [result.message for result in results if isinstance(result, Stored)]
    assert [message.body for message in messages] == [f"m{number}" for number in range(20)]
    assert [message.member_id for message in messages] == [draft.member_id for draft in drafts]
    ids = [message.id for message in messages]
    assert ids == list(range(ids[0], ids[0] + 20))


async def test_a_batch_sorts_out_who_may_not_and_what_is_known(store: Store) -> None:
    """Refuse who left and who never was, and store one client id once a member, even within one batch."""
    await store.leave_room("bob", 1)
    drafts = [Draft(1, "a", "x"), Draft(3, "left"), Draft(99, "nobody"), Draft(1, "b", "x"), Draft(2, "c", "x")]

    results = await store.add_messages(drafts)
    again = await store.add_messages([Draft(1, "d", "x"), Draft(1, "e")])

    kinds = [result.message.body if isinstance(result, Stored) else result for result in results + again]
    assert kinds == ["a", None, None, "known", "c", "known", "e"]


async def test_one_message_is_stored_as_one_of_a_batch_is(
    store: Store, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Its row, the row of its push, and who may not."""
    await store.leave_room("bob", 1)

    alone = []
    for draft in (Draft(1, "a", "x"), Draft(1, "b"), Draft(1, "c", "x")):
        alone += await store.add_messages([draft])
    batch = await store.add_messages([Draft(1, "a", "y"), Draft(1, "b"), Draft(1, "c", "y")])
    assert await store.add_messages([Draft(3, "left")]) == await store.add_messages([Draft(99, "nobody")]) == [None]

    assert [alone[2], batch[2]] == ["known", "known"]
    stored = [result for result in (*alone, *batch) if isinstance(result, Stored)]
    assert len(stored) == 4
    assert {result.after for result in stored} == {-1}
    pairs = [(result.message.body, result.message.client_id, result.message.channel_id) for result in stored]
    assert pairs == [("a", "x", 1), ("b", None, 1), ("a", "y", 1), ("b", None, 1)]
    rows = await connection.fetch(
        "SELECT id, channel_id, member_id, type, body, inserted_at = updated_at AS is_new FROM messages"
        " WHERE id >= $1 ORDER BY id",
        stored[0].message.id,
    )
    pushed = await connection.fetch("SELECT message_ids FROM push_outbox ORDER BY id")
    assert [tuple(row) for row in rows] == [
        (result.message.id, 1, 1, "chat", result.message.body, True) for result in stored
    ]
    ids = [result.message.id for result in stored]
    assert [row["message_ids"] for row in pushed][-3:] == [ids[:1], ids[1:2], ids[2:]]
    page = (await store.page("ada", 1)).messages
    assert {result.message.id: result.message for result in stored}.items() <= {one.id: one for one in page}.items()


async def test_a_stamp_stays_in_its_room(store: Store) -> None:
    """Refuse a stamp on a message of another room, and one of somebody who left."""
    other = (await store.page("eve", 2)).messages[0]
    own = (await store.page("bob", 1)).messages[0]

    with pytest.raises(Refusal, match="no message of this room"):
        await store.add_stamp(NewStamp(3, other.id, "w", 0, 0, 0))
    assert (await store.add_stamp(NewStamp(3, own.id, "w", 0, 0, 0)))[0].message_id == own.id
    await store.leave_room("bob", 1)
    with pytest.raises(Refusal, match="unauthorized"):
        await store.add_stamp(NewStamp(3, own.id, "w", 0, 0, 0))


async def test_every_statement_of_the_path_uses_an_index(
    store: Store, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """Read the plans of pages, seats and lists where a sequential scan would be dear."""
    del store
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
        INSERT INTO stamps (word, x_pos, y_pos, member_id, channel_id, message_id, inserted_at, updated_at)
          SELECT 'w', 0, 0, g.member_id, g.channel_id, g.id, now(), now() FROM messages g;
        INSERT INTO blocks (blocker_id, blocked_id, inserted_at)
          SELECT u.id, u.id + 1, now() FROM users u WHERE u.id + 1 IN (SELECT id FROM users);
        ANALYZE
        """
    )
    path: list[tuple[str, list[Any]]] = [
        (sql.FIND_USER, ["u77"]),
        (sql.LIST_ROOMS, ["u77"]),
        (sql.MEMBERS, [[77]]),
        (sql.STAMPS, [[77, 78]]),
        (sql.FIND_MEMBER, ["u77", 79]),
        (sql.FIND_ROOM, ["t77"]),
        (sql.PLACE, ["u77", 79]),
        (sql.IS_REMOVED, [79, 77]),
        (sql.PAGE, [77, 10**9, 61, [3]]),
        (sql.AFTER, [77, 5, 61, [3]]),
        (sql.AFTER_EACH, [[77, 78], [5, 6], 61]),
        (sql.SEATS, [["u77", "u78"], ["t77", "t79"]]),
        (sql.ADD_STAMP, [77, 77, "w", 0.0, 0.0, 0.0, "a"]),
        (sql.KNOWN_STAMP, [77, "a"]),
    ]
    for statement, arguments in path:
        plan = "\n".join(row[0] for row in await connection.fetch("EXPLAIN " + statement, *arguments))
        assert "Seq Scan" not in plan, f"{statement}\n{plan}"
    # What a function asks is in no plan of who calls it.
    plans: list[str] = []
    connection.add_log_listener(lambda _connection, message: plans.append(str(message)))
    await connection.execute(
        "LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;"
        " SET client_min_messages = log"
    )
    for member_id in range(71, 78):
        await connection.fetch(sql.ADD_MESSAGES, [member_id], ["x"], [None], True, "stampchat", "me")
        await connection.fetch(sql.ADD_MESSAGES_ALONE, [member_id], ["x"], [None])
    said = [plan for plan in plans if "messages" in plan]
    assert said
    assert not [plan for plan in said if "Seq Scan" in plan]


async def test_a_plan_from_the_first_message_on_reads_no_table_as_a_whole(
    store: Store, connection: asyncpg.Connection[asyncpg.Record]
) -> None:
    """It is kept while the table grows, until somebody analyses that."""
    del store
    member_id = await connection.fetchval(
        """
        WITH u AS (INSERT INTO users (identity, inserted_at, updated_at) VALUES ('u', now(), now()) RETURNING id),
        c AS (INSERT INTO channels (topic, inserted_at, updated_at) VALUES ('t', now(), now()) RETURNING id)
        INSERT INTO members (channel_id, user_id, inserted_at, updated_at) SELECT c.id, u.id, now(), now() FROM c, u
        RETURNING id
        """
    )
    plans: list[str] = []
    connection.add_log_listener(lambda _connection, message: plans.append(str(message)))
    # Somebody looked while the table was empty, as a minute after the start.
    await connection.execute(
        "ANALYZE;"
        " LOAD 'auto_explain'; SET auto_explain.log_min_duration = 0; SET auto_explain.log_nested_statements = on;"
        " SET client_min_messages = log"
    )
    # From the sixth call on the plan is one for all values, and stays.
    for _ in range(8):
        await connection.fetch(sql.ADD_MESSAGES, [member_id], ["x"], [None], True, "stampchat", "me")
        await connection.fetch(sql.ADD_MESSAGES_ALONE, [member_id], ["x"], [None])

    assert [plan for plan in plans if "Insert on messages" in plan]
    assert not [plan for plan in plans if "Seq Scan on messages" in plan]
