"""Try every door of a room as everybody who has no business there."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.features.rooms import member_ids

NOT_THERE = {(404, "not_found"), (401, "unknown_user")}
STAMP = {"word": "hi", "xPos": 1, "yPos": 2, "strength": 0.5}

# What a channel that is joined can be asked; {message} is a message of the room.
EVENTS: list[tuple[str, dict[str, Any]]] = [
    ("shout", {"message": "hi"}),
    ("stamp", {**STAMP, "messageId": "{message}"}),
    ("read", {"message_id": "{message}"}),
    ("edit", {"message_id": "{message}", "message": "x"}),
    ("delete", {"message_id": "{message}"}),
    ("whisper", {"typing": True}),
    ("ping", {}),
]
# Every call that names a room, or something in it.
CALLS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/channels/{room}/events", None),
    ("GET", "/channels/{room}/events?last_message_id=1", None),
    ("GET", "/channels/{room}/read", None),
    ("POST", "/channels/{room}/read", {"message_id": "{message}"}),
    ("PATCH", "/channels/{room}/messages/{message}", {"message": "x"}),
    ("DELETE", "/channels/{room}/messages/{message}", None),
    ("PATCH", "/channels/{room}", {"channel_name": "Mine"}),
    ("POST", "/channels/{room}/renew", None),
    ("POST", "/channels/{room}/remove", {"member_id": "{member}"}),
    ("POST", "/reports", {"message_id": "{message}", "reason": "x"}),
    ("POST", "/reports", {"user_id": "{user}", "channel_id": "{room}", "reason": "x"}),
]


def filled(value: Any, ids: dict[str, int]) -> Any:
    """Put ids where their names stand."""
    if isinstance(value, dict):
        return {key: filled(item, ids) for key, item in value.items()}
    if isinstance(value, str):
        for name, number in ids.items():
            if value == f"{{{name}}}":
                return number
            value = value.replace(f"{{{name}}}", str(number))
    return value


async def send_away(chat: ChatService, owner: Person, room: dict[str, Any], person: Person, how: str) -> None:
    """Make a member into somebody who has no business in the room."""
    match how:
        case "left":
            await person.post("/channels/leave", {"channel_id": room["id"]})
        case "removed":
            place = (await member_ids(owner, room))[person.identity]
            await owner.post(f"/channels/{room['id']}/remove", {"member_id": place})
        case "deleted":
            headers = {"Authorization": f"Bearer {chat.settings.credential.reveal()}"}
            url = f"{chat.internal}/internal/users/{person.identity}"
            async with person.client.delete(url, headers=headers) as response:
                assert await response.json() == {"deleted": True}


@pytest.mark.parametrize("how", ["stranger", "left", "removed", "deleted"])
async def test_every_door_is_shut(chat: ChatService, how: str) -> None:
    """Answer 404, 401 or "unauthorized", the same as for a room that is not there, and change nothing."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    hers = await ada.enter(room)
    said = await hers.shout(topic, "secret")
    his = await bob.open()
    if how != "stranger":
        await bob.post("/channels/join", {"topic": room["topic"]})
        await his.join(topic)
        said = await his.shout(topic, "mine, while I was here")
        await send_away(chat, ada, room, bob, how)
        while (await his.receive())[3] != "phx_close":
            pass
    users = (await ada.get(f"/channels/{room['id']}/events"))["data"]["members"]
    ids = {"room": room["id"], "message": said["id"], "member": users[0]["id"], "user": users[0]["user"]["id"]}
    before = await ada.get(f"/channels/{room['id']}/events")

    _, ref = await his.start_join(topic, {"last_message_id": 0, "presence": True, "changes_since": "2020-01-01"})
    refused = {"status": "error", "response": {"reason": "unauthorized"}}
    assert (await his.receive())[1:] == [ref, topic, "phx_reply", refused]
    for event, payload in EVENTS:
        reply = await his.ask(topic, event, filled(payload, ids))
        assert reply == {"status": "error", "response": {"reason": "unmatched topic"}}, event
    for method, path, body in CALLS:
        for known in (ids, {**ids, "room": 10**9}):
            status, answer = await bob.call(method, filled(path, known), filled(body, known))
            assert (status, answer.get("error", {}).get("code")) in NOT_THERE, (method, path, answer)
            assert "secret" not in str(answer)
    status, answer = await bob.call("GET", "/channels")
    assert (status, answer.get("data")) == ((401, None) if how == "deleted" else (200, []))
    assert await ada.get(f"/channels/{room['id']}/events") == before
    if how in {"removed", "deleted"}:
        status, answer = await bob.call("POST", "/channels/join", {"topic": room["topic"]})
        assert (status, answer["error"]["code"]) in NOT_THERE


async def test_a_channel_that_was_not_cut_yet_does_nothing(chat: ChatService) -> None:
    """Ask the database at every event that stores: the cut may come a moment later."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    await bob.post("/channels/join", {"topic": room["topic"]})
    his = await bob.enter(room)
    said = await his.shout(topic, "a")
    connection = await asyncpg.connect(chat.database.url.reveal())
    place = (await member_ids(ada, room))[bob.identity]
    await connection.execute("UPDATE members SET is_participant = false WHERE id = $1", place)
    await connection.close()
    before = await ada.get(f"/channels/{room['id']}/events")

    for event, payload in EVENTS[:5]:
        reply = await his.ask(topic, event, filled(payload, {"message": said["id"]}))
        assert reply == {"status": "error", "response": {"reason": "unauthorized"}}, event
    assert await ada.get(f"/channels/{room['id']}/events") == before


async def test_every_call_asks_for_a_token(chat: ChatService) -> None:
    """Answer 401 without a bearer."""
    nobody = Person(chat.public, "x", "", (await chat.meet("Ada")).client, (await chat.meet("Ada")).sockets)
    others: list[tuple[str, str, dict[str, Any] | None]] = [
        ("GET", "/blocks", None),
        ("POST", "/blocks", {"user_id": 1}),
        ("DELETE", "/blocks/1", None),
    ]
    for method, path, body in CALLS + others:
        ids = {"room": 1, "message": 1, "member": 1, "user": 1}
        assert (await nobody.call(method, filled(path, ids), filled(body, ids)))[0] == 401, path
