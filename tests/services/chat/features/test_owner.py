"""Remove, rename and renew as the owner, be refused as anybody else, and pass ownership on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg

from services.chat.app import open_apps
from services.chat.feature_limits import FeatureLimits
from services.chat.settings import ChatSettings
from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.features.rooms import code, member_ids, pair, told
from tests.services.chat.phoenix import SECONDS


async def owner_of(person: Person) -> int:
    """Return the owner of the one room, as it is listed."""
    (room,) = (await person.get("/channels"))["data"]
    return int(room["owner_member_id"])


async def test_a_removed_member_is_cut_and_stays_out(chat: ChatService) -> None:
    """End every socket of theirs at once, tell the others, and void the invitation for them alone."""
    ada, bob, room, topic = await pair(chat)
    eve = await chat.meet("Eve")
    hers, his = await ada.enter(room), [await bob.enter(room), await bob.enter(room)]
    place = (await member_ids(ada, room))[bob.identity]

    assert await ada.post(f"/channels/{room['id']}/remove", {"member_id": place}) == {"success": True}

    for socket in his:
        assert (await socket.receive())[3] == "phx_close"
    info = await hers.heard(topic)
    assert (info["type"], info["body"], info["member_id"]) == ("chat_info", "Bob was removed from the chat", place)
    await hers.shout(topic, "gone")
    await his[0].silent(topic)
    assert await code(bob, "POST", "/channels/join", {"topic": room["topic"]}) == (404, "not_found")
    assert (await bob.get("/channels"))["data"] == []
    assert await code(ada, "POST", f"/channels/{room['id']}/remove", {"member_id": place}) == (404, "not_found")
    await eve.post("/channels/join", {"topic": room["topic"]})


async def test_a_room_is_renamed_and_told_so(chat: ChatService) -> None:
    """Tell it by "channel"; the topic stays."""
    ada, bob, room, topic = await pair(chat)
    his = await bob.enter(room)

    status, answer = await ada.call("PATCH", f"/channels/{room['id']}", {"channel_name": "Train trip"})

    assert (status, answer["data"]) == (200, {**room, "friendly_name": "Train trip"})
    assert await told(his, topic, "channel") == answer["data"]
    (listed,) = (await bob.get("/channels"))["data"]
    assert listed["friendly_name"] == "Train trip"


async def test_a_renewed_invitation_moves_everybody(chat: ChatService) -> None:
    """Tell the new topic, close the old one, let nobody in by it, and forgive who was removed before."""
    ada, bob, room, topic = await pair(chat)
    eve = await chat.meet("Eve")
    place = (await member_ids(ada, room))[bob.identity]
    await ada.post(f"/channels/{room['id']}/remove", {"member_id": place})
    hers = await ada.enter(room)

    renewed = (await ada.post(f"/channels/{room['id']}/renew", None))["data"]

    assert renewed["topic"] != room["topic"]
    assert {**renewed, "topic": room["topic"]} == room
    assert await told(hers, topic, "channel") == renewed
    assert (await hers.receive())[3] == "phx_close"
    assert await code(eve, "POST", "/channels/join", {"topic": room["topic"]}) == (404, "not_found")
    _, ref = await hers.start_join(topic)
    assert (await hers.receive())[1:] == [
        ref,
        topic,
        "phx_reply",
        {"status": "error", "response": {"reason": "unauthorized"}},
    ]
    await hers.join(f"room:{renewed['topic']}")
    await bob.post("/channels/join", {"topic": renewed["topic"]})
    assert (await hers.heard(f"room:{renewed['topic']}"))["type"] == "chat_info"


async def test_what_is_said_while_the_room_moves_is_told_under_its_new_topic(chat: ChatService) -> None:
    """Store and tell it, to whoever is there by then, and leave no hole for who is."""
    ada, bob, room, topic = await pair(chat)
    his = await bob.enter(room)
    hers = await ada.enter(room)
    await asyncio.gather(
        ada.post(f"/channels/{room['id']}/renew", None),
        *(his.push(topic, "shout", {"message": str(number)}) for number in range(50)),
    )
    (listed,) = (await ada.get("/channels"))["data"]
    again = await ada.open()
    live = await again.join(f"room:{listed['topic']}", {"last_message_id": 0})
    heard = [message["id"] for message in live["messages"]]
    stored: list[int] = []
    async with asyncio.timeout(SECONDS):
        # What he had said before his channel was closed is stored and told bit by bit.
        while heard != stored or not heard:
            ref = await again.push(f"room:{listed['topic']}", "ping", {})
            while (frame := await again.receive())[1] != ref:
                heard.append(frame[4]["data"]["id"])
            page = (await ada.get(f"/channels/{room['id']}/events"))["data"]["messages"]
            stored = sorted(message["id"] for message in page)
    await his.silent_or_told()
    await hers.silent_or_told()


async def test_only_the_owner_may(chat: ChatService) -> None:
    """Refuse a member with 409, and whoever takes no part with 404."""
    ada, bob, room, _ = await pair(chat)
    eve = await chat.meet("Eve")
    places = await member_ids(ada, room)
    calls = [
        ("POST", f"/channels/{room['id']}/remove", {"member_id": places[ada.identity]}),
        ("PATCH", f"/channels/{room['id']}", {"channel_name": "Mine"}),
        ("POST", f"/channels/{room['id']}/renew", None),
    ]

    for call in calls:
        assert await code(bob, *call) == (409, "not_owner"), call
        assert await code(eve, *call) == (404, "not_found"), call
    assert await code(ada, *calls[0]) == (409, "yourself")
    assert await code(ada, "POST", calls[0][1], {"member_id": 10**30}) == (404, "not_found")
    elsewhere = await eve.make_room()
    (stranger,) = (await member_ids(eve, elsewhere)).values()
    assert await code(ada, "POST", calls[0][1], {"member_id": stranger}) == (404, "not_found")


async def test_ownership_passes_on_and_does_not_come_back(chat: ChatService) -> None:
    """Make the one owner who has been there longest, without a break."""
    ada, bob, room, _ = await pair(chat)
    eve = await chat.meet("Eve")
    await eve.post("/channels/join", {"topic": room["topic"]})
    places = await member_ids(ada, room)
    assert await owner_of(bob) == places[ada.identity]

    await ada.post("/channels/leave", {"channel_id": room["id"]})
    assert await owner_of(eve) == places[bob.identity]
    await ada.post("/channels/join", {"topic": room["topic"]})
    assert await owner_of(ada) == places[bob.identity]
    assert await code(ada, "PATCH", f"/channels/{room['id']}", {"channel_name": "Mine"}) == (409, "not_owner")
    assert await code(bob, "PATCH", f"/channels/{room['id']}", {"channel_name": "Mine"}) == (200, None)
    await bob.post("/channels/leave", {"channel_id": room["id"]})
    assert await owner_of(ada) == places[eve.identity]


async def test_nothing_is_said_after_a_removal(chat: ChatService) -> None:
    """Store what came before it, and nothing of what comes after, however they meet."""
    ada, bob, room, topic = await pair(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    place = (await member_ids(ada, room))[bob.identity]

    await asyncio.gather(
        *(his.push(topic, "shout", {"message": str(number)}) for number in range(30)),
        ada.post(f"/channels/{room['id']}/remove", {"member_id": place}),
        *(his.push(topic, "shout", {"message": str(number)}) for number in range(30)),
    )
    heard: list[Any] = []
    while not heard or heard[-1]["type"] != "chat_info":
        heard.append(await hers.heard(topic))
    await his.silent_or_told()

    await hers.silent(topic)
    page = (await ada.get(f"/channels/{room['id']}/events"))["data"]["messages"]
    assert page[0] == heard[-1]


async def test_a_removal_and_the_removed_ones_return_at_once_end_outside(chat: ChatService) -> None:
    """Let them in before or not at all."""
    ada, bob, room, topic = await pair(chat)
    place = (await member_ids(ada, room))[bob.identity]
    await bob.post("/channels/leave", {"channel_id": room["id"]})

    await bob.post("/channels/join", {"topic": room["topic"]})
    statuses = await asyncio.gather(
        ada.call("POST", f"/channels/{room['id']}/remove", {"member_id": place}),
        bob.call("POST", "/channels/leave", {"channel_id": room["id"]}),
        bob.call("POST", "/channels/join", {"topic": room["topic"]}),
        (await bob.open()).start_join(topic),
    )

    assert statuses[0][0] in {200, 404}
    connection = await asyncpg.connect(chat.database.url.reveal())
    row = await connection.fetchrow("SELECT is_participant, removed_at FROM members WHERE id = $1", place)
    await connection.close()
    assert row is not None
    assert not (row["is_participant"] and row["removed_at"] is not None)


async def test_an_owner_is_paced(
    settings: ChatSettings, run_service: Any, client: aiohttp.ClientSession, chat: ChatService
) -> None:
    """Let nobody flood a room with names."""
    ada, _, room, _ = await pair(chat)
    strict = await run_service(open_apps(replace(settings, feature_limits=FeatureLimits(owner_acts_per_minute=2))))
    her = Person(strict.public, ada.identity, ada.token, client, ada.sockets)

    codes = [await code(her, "PATCH", f"/channels/{room['id']}", {"channel_name": "x"}) for _ in range(3)]

    assert codes == [(200, None), (200, None), (429, "too_many_requests")]
