"""Hear somebody no more: live, in pages, replays, lists and counts; the other notices nothing."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from services.chat.app import open_apps
from services.chat.bus import Mute, Note
from services.chat.extensions import Joined
from services.chat.feature_limits import FeatureLimits
from services.chat.features.blocks import Blocks
from services.chat.features.doors import Pace
from services.chat.settings import ChatSettings
from services.chat.store import Store
from services.database import open_database
from services.settings import DatabaseSettings
from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.features.rooms import answered, code, pair, told

STAMP = {"word": "hi", "xPos": 1, "yPos": 2, "strength": 0.5}


async def user_id(person: Person, room: dict[str, Any], identity: str) -> int:
    """Return somebody's id, as a client learns it."""
    members = (await person.get(f"/channels/{room['id']}/events"))["data"]["members"]
    (found,) = [member["user"]["id"] for member in members if member["user"]["identity"] == identity]
    return int(found)


async def test_a_live_channel_falls_silent_at_once_and_speaks_again(chat: ChatService) -> None:
    """Spare the blocker every kind of broadcast; what the room itself says is heard."""
    ada, bob, room, topic = await pair(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    bobs_id = await user_id(ada, room, bob.identity)
    assert await ada.post("/blocks", {"user_id": bobs_id}) == {"success": True}

    said = await his.shout(topic, "psst")
    await his.push(topic, "stamp", {**STAMP, "messageId": said["id"]})
    await his.heard(topic, "stamp")
    await answered(his, topic, "edit", {"message_id": said["id"], "message": "PSST"})
    await answered(his, topic, "read", {"message_id": said["id"]})
    await his.push(topic, "whisper", {"typing": True})
    await answered(his, topic, "delete", {"message_id": said["id"]})
    await hers.silent(topic)
    await hers.shout(topic, "nobody there?")
    assert (await his.heard(topic))["body"] == "nobody there?"
    await bob.post("/channels/leave", {"channel_id": room["id"]})
    assert (await hers.heard(topic))["type"] == "chat_info"

    assert await ada.call("DELETE", f"/blocks/{bobs_id}") == (200, {"success": True})
    await bob.post("/channels/join", {"topic": room["topic"]})
    assert (await hers.heard(topic))["type"] == "chat_info"
    await (await bob.enter(room)).shout(topic, "back")
    assert (await hers.heard(topic))["body"] == "back"


async def test_what_is_stored_is_kept_from_the_blocker_alone(chat: ChatService) -> None:
    """Leave it out of pages, replays, changes, lists, markers and counts, and show it to everybody else."""
    ada, bob, room, topic = await pair(chat)
    eve = await chat.meet("Eve")
    await eve.post("/channels/join", {"topic": room["topic"]})
    hers = await ada.enter(room)
    first = await hers.shout(topic, "first")
    await ada.post("/blocks", {"identity": bob.identity})
    his = await bob.enter(room)
    said = await his.shout(topic, "psst")
    await answered(his, topic, "edit", {"message_id": said["id"], "message": "psst!"})
    await bob.post(f"/channels/{room['id']}/read", {"message_id": said["id"]})
    await told(his, topic, "read")

    def bodies(messages: list[dict[str, Any]]) -> list[str]:
        return [message["body"] for message in messages if message["type"] == "chat"]

    path = f"/channels/{room['id']}/events"
    assert bodies((await ada.get(path))["data"]["messages"]) == ["first"]
    assert bodies((await eve.get(path))["data"]["messages"]) == ["psst!", "first"]
    (listed,) = (await ada.get("/channels"))["data"]
    assert (listed["last_message"]["body"], listed["unread"]) == ("first", 0)
    (listed,) = (await eve.get("/channels"))["data"]
    assert (listed["last_message"]["body"], listed["unread"]) == ("psst!", 2)
    assert (await ada.get(f"/channels/{room['id']}/read"))["data"] == []
    again = await ada.open()
    response = await again.join(topic, {"last_message_id": first["id"], "changes_since": first["inserted_at"]})
    assert response == {"messages": [], "recovered": True}
    assert [message["body"] for message in (await again.receive())[4]["messages"]] == []
    assert [message["body"] for message in (await changes(eve, topic, first))["messages"]] == ["psst!"]
    await his.shout(topic, "anybody?")
    await again.silent(topic)
    await his.push(topic, "stamp", {**STAMP, "messageId": first["id"]})
    await his.heard(topic, "stamp")
    assert (await ada.get(path))["data"]["messages"][0]["stamps"] == []
    assert len((await eve.get(path))["data"]["messages"][2]["stamps"]) == 1
    assert (await ada.get("/channels"))["data"][0]["last_message"]["stamps"] == []


async def changes(person: Person, topic: str, since: dict[str, Any]) -> dict[str, Any]:
    """Return what a client is told that comes back."""
    socket = await person.open()
    await socket.join(topic, {"changes_since": since["inserted_at"]})
    payload: dict[str, Any] = (await socket.receive())[4]
    return payload


async def test_the_blocked_learns_nothing(chat: ChatService) -> None:
    """Answer the blocked as ever: lists, members, replies, broadcasts; and nobody else sees the block."""
    ada, bob, room, topic = await pair(chat)
    his = await bob.enter(room)
    before = (await bob.get("/channels"), await bob.get(f"/channels/{room['id']}/events"), await bob.get("/blocks"))
    await ada.post("/blocks", {"identity": bob.identity})

    after = (await bob.get("/channels"), await bob.get(f"/channels/{room['id']}/events"), await bob.get("/blocks"))

    assert before == after
    await his.silent(topic)
    assert (await his.shout(topic, "hi"))["body"] == "hi"
    (entry,) = (await ada.get("/blocks"))["data"]
    assert entry["user"]["identity"] == bob.identity
    assert entry.keys() == {"inserted_at", "user"}


async def test_only_whom_one_has_met_can_be_blocked(chat: ChatService) -> None:
    """Give no way to ask which people exist, and refuse oneself."""
    ada, bob, room, _ = await pair(chat)
    eve = await chat.meet("Eve")
    await eve.make_room()
    eves_id = (await eve.get("/channels"))["data"][0]["members"][0]["user"]["id"]

    assert await code(ada, "POST", "/blocks", {"user_id": eves_id}) == (404, "not_found")
    assert await code(ada, "POST", "/blocks", {"identity": eve.identity}) == (404, "not_found")
    assert await code(ada, "POST", "/blocks", {"user_id": 10**30}) == (404, "not_found")
    assert await code(ada, "POST", "/blocks", {"identity": ada.identity}) == (409, "yourself")
    assert await code(ada, "DELETE", f"/blocks/{eves_id}") == (404, "not_found")
    await bob.post("/channels/leave", {"channel_id": room["id"]})
    assert await code(ada, "POST", "/blocks", {"identity": bob.identity}) == (200, None)
    assert await code(ada, "POST", "/blocks", {"identity": bob.identity}) == (200, None)
    assert len((await ada.get("/blocks"))["data"]) == 1


async def test_a_block_and_a_join_at_once_leave_nothing_to_hear(chat: ChatService) -> None:
    """Mute the channel whichever comes first."""
    ada, bob, room, topic = await pair(chat)
    his = await bob.enter(room)
    for _ in range(5):
        hers = await ada.open()
        await asyncio.gather(hers.join(topic), ada.post("/blocks", {"identity": bob.identity}))
        await his.shout(topic, "psst")
        await hers.silent(topic)
        ((block),) = (await ada.get("/blocks"))["data"]
        await ada.call("DELETE", f"/blocks/{block['user']['id']}")
        await his.shout(topic, "heard")
        assert (await hers.heard(topic))["body"] == "heard"


async def test_a_join_that_asked_before_the_block_is_muted_all_the_same(database: DatabaseSettings) -> None:
    """Look again for who has blocked somebody a moment ago: the seat may have been read before that."""
    async with open_database(database) as pool:
        store = Store(pool)
        for name in ("ada", "bob"):
            await store.ensure_user(name, name.title())
        await store.create_room("ada", "One", "one")
        await store.join_room("bob", "one")
        notes: list[Note] = []
        blocks = Blocks(pool, store, notes.append, Pace(10), most=10)
        stale = (await store.find_place("ada", 1)).seat
        await blocks.block("ada", None, "bob")
        muted: list[frozenset[int]] = []
        await blocks.joined(Joined("room:one", "ada", stale, object(), lambda _event, _payload: None, muted.append))

    assert stale.muted == frozenset()
    assert muted == [frozenset({2})]
    assert notes == [Mute("room:one", "ada", frozenset({2}))]


async def test_blocks_are_bounded(
    settings: ChatSettings, run_service: Any, client: aiohttp.ClientSession, chat: ChatService
) -> None:
    """Refuse one too many, and one too often."""
    ada, bob, room, _ = await pair(chat)
    eve = await chat.meet("Eve")
    await eve.post("/channels/join", {"topic": room["topic"]})
    strict = await run_service(
        open_apps(replace(settings, feature_limits=FeatureLimits(blocks=1, blocks_per_minute=3)))
    )
    her = Person(strict.public, ada.identity, ada.token, client, ada.sockets)

    assert await code(her, "POST", "/blocks", {"identity": bob.identity}) == (200, None)
    assert await code(her, "POST", "/blocks", {"identity": eve.identity}) == (409, "too_many_blocks")
    assert await code(her, "DELETE", "/blocks/999999") == (404, "not_found")
    assert await code(her, "DELETE", "/blocks/999999") == (429, "too_many_requests")


@pytest.mark.parametrize("body", [{}, {"user_id": 1, "identity": "x"}, {"user_id": None}])
async def test_one_of_the_two_names_is_needed(chat: ChatService, body: Any) -> None:
    """Say so."""
    ada = await chat.meet("Ada")
    status, answer = await ada.call("POST", "/blocks", body)

    assert status == 422
    assert "user_id or identity" in answer["error"]["message"]
