"""Let the version before run on a database that this one has migrated: a rolling update has both at once.

The statements are those that the version before the features wrote with, word for word, so that they stay what they
were while ours change. A later version puts its own predecessor's here.
"""

# ruff: noqa: S608  # the statements are put together from constants of this file

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest

from services.migrations import migrate
from services.settings import DatabaseSettings
from tests.services.conftest import MakeDatabase
from tests.services.storage.house import SERVICES

NOW = "date_trunc('second', now() AT TIME ZONE 'utc')"
ADD_USER = f"""
INSERT INTO users (identity, friendly_name, inserted_at, updated_at) VALUES ($1, $2, {NOW}, {NOW})
ON CONFLICT (identity) WHERE duplicate_of IS NULL DO NOTHING
"""
ADD_ROOM = f"""
INSERT INTO channels (friendly_name, topic, inserted_at, updated_at) VALUES ($1, $2, {NOW}, {NOW})
RETURNING id, inserted_at, friendly_name, topic
"""
ADD_PARTICIPANT = f"""
INSERT INTO members (channel_id, user_id, is_participant, inserted_at, updated_at) VALUES ($1, $2, true, {NOW}, {NOW})
ON CONFLICT (channel_id, user_id) WHERE duplicate_of IS NULL
DO UPDATE SET is_participant = true, updated_at = excluded.updated_at WHERE members.is_participant IS NOT TRUE
RETURNING id
"""
REMOVE_PARTICIPANT = f"UPDATE members SET is_participant = false, updated_at = {NOW} WHERE id = $1"
ADD_INFO = f"""
INSERT INTO messages AS g (channel_id, member_id, type, body, inserted_at, updated_at)
VALUES ($1, $2, 'chat_info', $3, {NOW}, {NOW})
RETURNING g.id, g.inserted_at, g.channel_id, g.member_id, g.type, g.body, g.client_id
"""
ADD_MESSAGES = f"""
WITH asked AS MATERIALIZED (
  SELECT a.ordinal, a.member_id, m.channel_id, a.body, a.client_id
  FROM unnest($1::bigint[], $2::text[], $3::text[]) WITH ORDINALITY AS a (member_id, body, client_id, ordinal)
  JOIN members m ON m.id = a.member_id AND m.is_participant
  ORDER BY a.ordinal
), numbered AS MATERIALIZED (
  SELECT nextval(pg_get_serial_sequence('messages', 'id')) AS id, asked.*, {NOW} AS inserted_at FROM asked
), added AS (
  INSERT INTO messages (id, channel_id, member_id, type, body, client_id, inserted_at, updated_at)
  SELECT id, channel_id, member_id, 'chat', body, client_id, inserted_at, inserted_at FROM numbered ORDER BY ordinal
  ON CONFLICT (member_id, client_id) WHERE client_id IS NOT NULL DO NOTHING
  RETURNING id
)
SELECT n.ordinal, n.id, n.inserted_at, n.channel_id, n.member_id, 'chat' AS type, n.body, n.client_id,
  added.id IS NOT NULL AS stored
FROM numbered n LEFT JOIN added USING (id)
"""
ADD_STAMP = f"""
INSERT INTO stamps (member_id, channel_id, message_id, word, x_pos, y_pos, strength, inserted_at, updated_at)
SELECT m.id, m.channel_id, g.id, $3, $4, $5, $6, {NOW}, {NOW}
FROM members m JOIN messages g ON g.channel_id = m.channel_id
WHERE m.id = $1 AND m.is_participant AND g.id = $2
RETURNING id, inserted_at, member_id, message_id, word, x_pos, y_pos, strength
"""
PAGE = """
SELECT g.id, g.inserted_at, g.channel_id, g.member_id, g.type, g.body, g.client_id
FROM messages g WHERE g.channel_id = $1 AND g.id < $2 ORDER BY g.id DESC LIMIT $3
"""
LOGIN = "INSERT INTO users (uid, name, email, picture) VALUES ($1, $2, $3, $4) RETURNING id, uid, name, email, picture"
REGISTER = "INSERT INTO tokens (identity, fcm_token) VALUES ($1, $2) RETURNING id, inserted_at, identity, fcm_token"
UNREGISTER = "DELETE FROM tokens WHERE identity = $1"

Connections: TypeAlias = "dict[str, asyncpg.Connection[asyncpg.Record]]"


@pytest.fixture
async def connections(make_database: MakeDatabase) -> AsyncIterator[Connections]:
    """Connect to databases of this version."""
    found: Connections = {}
    for service, described in SERVICES.items():
        database: DatabaseSettings = await make_database()
        await migrate(database, described.migrations)
        found[service] = await asyncpg.connect(database.url.reveal())
    yield found
    for connection in found.values():
        await connection.close()


async def test_the_previous_chat_service_writes_all_that_it_wrote(connections: Connections) -> None:
    """A person, a room, a seat that is left and taken again, messages once each, a stamp, an info."""
    chat = connections["chat"]
    for name in ("ada", "bob"):
        await chat.execute(ADD_USER, name, name.title())
        await chat.execute(ADD_USER, name, "Again")
    room = await chat.fetchval(ADD_ROOM, "Road trip", "road_trip_ab12cd34")
    users = [row["id"] for row in await chat.fetch("SELECT id FROM users ORDER BY id")]
    ada, bob = [await chat.fetchval(ADD_PARTICIPANT, room, user) for user in users]
    assert await chat.fetchval(ADD_PARTICIPANT, room, users[0]) is None
    await chat.execute(REMOVE_PARTICIPANT, bob)
    assert await chat.fetchval(ADD_PARTICIPANT, room, users[1]) == bob

    said = [await chat.fetch(ADD_MESSAGES, [ada, bob, ada], ["one", "two", "three"], ["x", None, None]) for _ in (1, 2)]
    await chat.fetchrow(ADD_INFO, room, ada, "Ada came in")
    await chat.fetchrow(ADD_STAMP, bob, said[0][0]["id"], "one", 1.0, 2.0, 0.5)

    assert [[row["stored"] for row in batch] for batch in said] == [[True] * 3, [False, True, True]]
    bodies = [row["body"] for row in await chat.fetch(PAGE, room, 2**62, 60)]
    assert bodies == ["Ada came in", "three", "two", "three", "two", "one"]


async def test_the_previous_auth_and_notifications_services_write_all_that_they_wrote(connections: Connections) -> None:
    """A login, a device that comes and goes."""
    user = await connections["auth"].fetchrow(LOGIN, "dev-1", "Ada", None, None)
    device = await connections["notifications"].fetchrow(REGISTER, "ada_dev-1", "device")

    assert user is not None
    assert (user["uid"], user["name"]) == ("dev-1", "Ada")
    assert device is not None
    assert await connections["notifications"].execute(UNREGISTER, "ada_dev-1") == "DELETE 1"
