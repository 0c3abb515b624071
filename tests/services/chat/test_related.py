"""Fetch what belongs to rooms and messages, for many of them at once."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from services.chat.models import Draft, NewStamp, Stored
from services.chat.related import fetch_members, fetch_stamps
from services.chat.store import Store
from services.database import Connection, open_database
from services.settings import DatabaseSettings


@pytest.fixture
async def connection(database: DatabaseSettings) -> AsyncIterator[Connection]:
    """Connect to a database with two rooms: Ada's with Bob in it, and Bob's with Ada in it."""
    async with open_database(database) as pool:
        store = Store(pool)
        for name in ("ada", "bob"):
            await store.ensure_user(name, name.title())
        await store.create_room("ada", "One", "one")
        await store.create_room("bob", "Two", "two")
        await store.join_room("bob", "one")
        await store.join_room("ada", "two")
        said = await store.add_messages([Draft(1, "a"), Draft(2, "b")])
        for stored in said:
            assert isinstance(stored, Stored)
            message = stored.message
            for member_id in (1, 3) if message.member_id == 1 else (2,):
                await store.add_stamp(NewStamp(member_id, message.id, "w", 0, 0, 0))
        await store.leave_room("bob", 2)
        async with pool.connection() as connection:
            yield connection


async def test_members_come_by_room_with_its_owner(connection: Connection) -> None:
    """Keep who has left, and let the next one own the room."""
    members, owners = await fetch_members(connection, [1, 2, 3])

    assert {room: [member.id for member in found] for room, found in members.items()} == {1: [1, 3], 2: [2, 4]}
    assert owners == {1: 1, 2: 4}


async def test_stamps_come_by_message_without_tombstones_and_muted_members(connection: Connection) -> None:
    """Ask for none where there is nothing to ask for."""
    await connection.execute("UPDATE messages SET deleted_at = now() WHERE body = 'b'")
    rows = await connection.fetch("SELECT id, deleted_at FROM messages ORDER BY id")

    everybodys = await fetch_stamps(connection, rows, ())
    spared = await fetch_stamps(connection, rows, [3])

    assert [[stamp.member_id for stamp in found] for found in everybodys.values()] == [[1, 3]]
    assert [[stamp.member_id for stamp in found] for found in spared.values()] == [[1]]
    assert await fetch_stamps(connection, [], ()) == {}
