from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import asyncpg
import pytest

from tests.services.chat.conftest import ChatService, Person


async def merge(chat: ChatService, client: aiohttp.ClientSession, into: str, gone: str) -> tuple[int, Any]:
    """Ask to merge two people."""
    headers = {"Authorization": f"Bearer {chat.settings.credential.reveal()}"}
    body = {"into": into, "from": gone}
    async with client.post(f"{chat.internal}/internal/users/merge", json=body, headers=headers) as response:
        return response.status, await response.json()


async def rooms(person: Person) -> dict[str, int]:
    """Return the person's rooms, and how many people are in each."""
    return {
        room["friendly_name"]: len({member["user"]["id"] for member in room["members"]})
        for room in (await person.get("/channels"))["data"]
    }


async def test_the_places_words_and_blocks_of_both_are_one_persons(
    chat: ChatService, client: aiohttp.ClientSession
) -> None:
    """Rooms of either, also where both take part; every word stays where it was said, under its member."""
    ada, countess, bob = await chat.meet("Ada"), await chat.meet("Countess"), await chat.meet("Bob")
    hers, older = await ada.make_room("Hers"), await countess.make_room("Older")
    shared = await bob.make_room("Shared")
    for person in (ada, countess):
        await person.post("/channels/join", {"topic": shared["topic"]})
    for person, room in ((countess, older), (countess, shared), (ada, shared)):
        phoenix = await person.enter(room)
        await phoenix.shout(f"room:{room['topic']}", f"{person.identity} was here")
    left = await countess.make_room("Left")
    await countess.post("/channels/leave", {"channel_id": left["id"]})
    connection = await asyncpg.connect(chat.database.url.reveal())
    ids = {row["identity"]: row["id"] for row in await connection.fetch("SELECT identity, id FROM users")}
    await connection.executemany(
        "INSERT INTO blocks VALUES ($1, $2, now())",
        [
            (ids[countess.identity], ids[bob.identity]),
            (ids[bob.identity], ids[countess.identity]),
            (ids[bob.identity], ids[ada.identity]),
            (ids[countess.identity], ids[ada.identity]),
        ],
    )
    before = await connection.fetch("SELECT id, body, member_id FROM messages ORDER BY id")

    assert [await merge(chat, client, ada.identity, countess.identity) for _ in range(2)] == [
        (200, {"merged": True})
    ] * 2

    assert await rooms(ada) == {"Hers": 1, "Older": 1, "Shared": 2}
    assert (await countess.call("GET", "/channels"))[0] == 401
    assert await connection.fetch("SELECT id, body, member_id FROM messages ORDER BY id") == before
    assert {tuple(row) for row in await connection.fetch("SELECT blocker_id, blocked_id FROM blocks")} == {
        (ids[ada.identity], ids[bob.identity]),
        (ids[bob.identity], ids[ada.identity]),
    }
    page = (await ada.get(f"/channels/{shared['id']}/events"))["data"]
    authors = {member["id"]: member["user"]["identity"] for member in page["members"]}
    assert {authors[message["member_id"]] for message in page["messages"] if message["type"] == "chat"} == {
        ada.identity
    }
    assert hers["id"] in {room["id"] for room in (await ada.get("/channels"))["data"]}
    await ada.post("/channels/leave", {"channel_id": shared["id"]})
    assert "Shared" not in await rooms(ada)
    await connection.close()


async def test_many_at_once_are_one(chat: ChatService, client: aiohttp.ClientSession) -> None:
    """Logins race."""
    ada, countess = await chat.meet("Ada"), await chat.meet("Countess")
    await countess.make_room("Older")

    answers = await asyncio.gather(*(merge(chat, client, ada.identity, countess.identity) for _ in range(5)))

    assert {status for status, _ in answers} == {200}
    assert await rooms(ada) == {"Older": 1}


async def test_a_person_who_is_merged_and_then_deleted_leaves_no_name(
    chat: ChatService, client: aiohttp.ClientSession
) -> None:
    """Nor does the one who was merged into them."""
    ada, countess = await chat.meet("Ada"), await chat.meet("Countess")
    await countess.make_room("Older")
    assert (await merge(chat, client, ada.identity, countess.identity))[0] == 200
    headers = {"Authorization": f"Bearer {chat.settings.credential.reveal()}"}
    async with client.delete(f"{chat.internal}/internal/users/{ada.identity}", headers=headers) as response:
        assert await response.json() == {"deleted": True}

    connection = await asyncpg.connect(chat.database.url.reveal())
    assert await connection.fetchval("SELECT count(*) FROM users WHERE friendly_name IS NOT NULL") == 0
    assert await connection.fetchval("SELECT count(*) FROM messages WHERE body LIKE '%Countess%'") == 0
    await connection.close()


async def test_a_stranger_is_merged_already_and_nobody_merges_into_one(
    chat: ChatService, client: aiohttp.ClientSession
) -> None:
    """The first is what a repeated call sees, the second a mistake."""
    ada = await chat.meet("Ada")

    assert await merge(chat, client, ada.identity, "nobody_1") == (200, {"merged": True})
    assert await merge(chat, client, ada.identity, ada.identity) == (200, {"merged": True})
    status, answer = await merge(chat, client, "nobody_1", ada.identity)
    assert (status, answer["error"]["code"]) == (404, "unknown_user")
    assert await rooms(ada) == {}


@pytest.mark.parametrize("body", [{}, {"into": "a"}, {"into": "a", "from": ""}, {"into": 1, "from": "b"}, []], ids=str)
async def test_bad_bodies_are_refused(chat: ChatService, client: aiohttp.ClientSession, body: object) -> None:
    """As everywhere."""
    headers = {"Authorization": f"Bearer {chat.settings.credential.reveal()}"}
    async with client.post(f"{chat.internal}/internal/users/merge", json=body, headers=headers) as response:
        assert response.status == 422
