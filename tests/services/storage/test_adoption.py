"""Adopt the three databases that the original left, a million messages among them, and serve them."""

from __future__ import annotations

import time

import asyncpg
import pytest

from services.migrations import migrate
from services.settings import Secret
from services.tokens import Signer
from tests.services.postgres import PostgresServer
from tests.services.storage.conftest import Adopted, CopyDatabase, OpenHouse, in_database
from tests.services.storage.house import SERVICES, House
from tests.services.storage.original import BIG_ROOM, MESSAGES

KEY = "the key of a test, which auth and the test both sign with"
# Person 1, who is there three times, and whose devices are in the notifications database.
UID, IDENTITY = "dev-1", "person1_dev-1"


@pytest.fixture
async def served(
    adopted: Adopted, copy_database: CopyDatabase, open_house: OpenHouse
) -> tuple[House, str, dict[str, str]]:
    """Serve copies of what was adopted; return the services, person 1's token, and where the copies are."""
    urls = {service: await copy_database(name) for service, name in adopted.names.items()}
    house = await open_house(urls, private_key=KEY)
    now = int(time.time())
    user = {"id": 1, "name": "Person 1", "email": None, "picture": None, "identity": IDENTITY}
    return house, Signer(Secret(KEY)).mint(user, auth_time=now, expires=now + 600), urls


def test_every_row_is_kept_as_it_was(adopted: Adopted) -> None:
    """Repeated people, tokens and seats, seats of nobody, NULLs, and the books of knex and Ecto."""
    assert adopted.before["chat.messages"][0] == MESSAGES + 4
    assert adopted.after == adopted.before


async def test_adopting_again_changes_nothing(adopted: Adopted, postgres: PostgresServer) -> None:
    """A second start of the same version finds its work done."""
    for service, name in adopted.names.items():
        assert await migrate(in_database(postgres.url(name)), SERVICES[service].migrations) == []


async def test_the_oldest_row_of_a_person_counts_and_what_pointed_at_the_others_follows(
    adopted: Adopted, postgres: PostgresServer
) -> None:
    """Nobody is in a room twice, and whoever took part through any of their rows still does."""
    connection = await asyncpg.connect(postgres.url(adopted.names["chat"]))
    twice = """SELECT count(*) FROM (SELECT FROM members WHERE duplicate_of IS NULL AND user_id IS NOT NULL
      GROUP BY channel_id, user_id HAVING count(*) > 1) AS seats"""
    strays = "SELECT count(*) FROM members m JOIN users u ON u.id = m.user_id WHERE u.duplicate_of IS NOT NULL"
    # Person 1 sat in the big room through the first row and through both others.
    seats = """SELECT m.duplicate_of IS NULL, m.is_participant FROM members m JOIN users u ON u.id = m.user_id
      WHERE u.identity = $1 AND m.channel_id = $2 ORDER BY m.id"""
    try:
        assert await connection.fetchval(twice) == 0
        assert await connection.fetchval(strays) == 0
        found = [tuple(row) for row in await connection.fetch(seats, IDENTITY, BIG_ROOM)]
        assert found == [(True, True)] + [(False, False)] * (len(found) - 1)
        assert len(found) > 1
    finally:
        await connection.close()


async def test_rooms_and_their_whole_history_are_served(served: tuple[House, str, dict[str, str]]) -> None:
    """Pages meet without a gap, from the newest message to the first, which may have no author, text or kind."""
    house, token, urls = served
    rooms = (await house.call("GET", "chat", "/channels", token=token)).body["data"]
    assert BIG_ROOM in [room["id"] for room in rooms]
    room = next(room for room in rooms if room["id"] != BIG_ROOM and room["last_message"])

    for room_id, most_pages in ((room["id"], 1000), (BIG_ROOM, 5)):
        seen: list[int] = []
        for _ in range(most_pages):
            before = seen[-1] if seen else ""
            path = f"/channels/{room_id}/events?last_message_id={before}"
            answer = await house.call("GET", "chat", path, token=token)
            assert answer.status == 200, answer
            page = answer.body["data"]
            seen += [message["id"] for message in page["messages"]]
            known = {member["id"] for member in page["members"]} | {None}
            assert known >= {message["member_id"] for message in page["messages"]}
            if page["is_last_message"]:
                break
        connection = await asyncpg.connect(urls["chat"])
        newest = "SELECT id FROM messages WHERE channel_id = $1 ORDER BY id DESC LIMIT $2"
        stored = await connection.fetch(newest, room_id, len(seen) if most_pages == 5 else None)
        await connection.close()
        assert seen == [row["id"] for row in stored]


async def test_an_adopted_room_is_joined_and_spoken_in(served: tuple[House, str, dict[str, str]]) -> None:
    """Ids go on where the original's sequences stopped."""
    house, token, _ = served
    rooms = (await house.call("GET", "chat", "/channels", token=token)).body["data"]
    room = next(room for room in rooms if room["id"] == BIG_ROOM)
    phoenix = await house.enter(token, room["topic"])

    said = await phoenix.shout(f"room:{room['topic']}", "still here")

    assert said["id"] > MESSAGES
    assert said["channel_id"] == BIG_ROOM
    joined = await house.call("POST", "chat", "/channels/join", {"topic": "room_2_ab12cd34"}, token=token)
    assert joined.body == {"success": True}


async def test_the_oldest_of_a_repeated_uid_logs_in(served: tuple[House, str, dict[str, str]]) -> None:
    """The dev login's uid of a name is made of its hash, so the original's row is given that one here."""
    house, _, urls = served
    connection = await asyncpg.connect(urls["auth"])
    stranger = await house.login("Ada")
    uid = await connection.fetchval("SELECT uid FROM users WHERE id = $1", stranger["id"])
    await connection.execute("DELETE FROM users WHERE id = $1", stranger["id"])
    await connection.execute("UPDATE users SET uid = $1 WHERE uid = $2", uid, UID)
    await connection.close()

    user = await house.login("Ada")

    assert (user["id"], user["name"]) == (1, "Person 1")


async def test_a_repeated_device_is_registered_and_forgotten_as_one(served: tuple[House, str, dict[str, str]]) -> None:
    """The original stored device 1-1 of person 1 for person 2 too, and some devices twice."""
    house, token, urls = served
    connection = await asyncpg.connect(urls["notifications"])
    held = "SELECT DISTINCT identity FROM tokens WHERE fcm_token = 'device-1-1'"
    try:
        assert (
            await house.call("POST", "notifications", "/register", {"token": "device-1-1"}, token=token)
        ).status == 200
        assert [row[0] for row in await connection.fetch(held)] == [IDENTITY]
        await house.call("POST", "notifications", "/unregister", {"token": "device-1-1"}, token=token)
        assert await connection.fetch(held) == []
    finally:
        await connection.close()
