"""Whisper on real sockets: everybody else hears it, nobody keeps it."""

from __future__ import annotations

from typing import Any

import pytest

from services.chat.limits import Limits
from tests.services.chat.conftest import ChatService
from tests.services.chat.test_socket import two_in_a_room


@pytest.fixture
def limits(still_rates: None) -> Limits:  # noqa: ARG001  # it only has to be there
    """Make a rate that a test reaches quickly."""
    return Limits(whispers_per_second=1, whispers_burst=20)


async def member_of(person: Any, room: dict[str, Any]) -> int:
    """Return the person's member id in a room."""
    page = (await person.get(f"/channels/{room['id']}/events"))["data"]
    return next(int(member["id"]) for member in page["members"] if member["user"]["identity"] == person.identity)


async def test_everybody_else_hears_a_whisper(chat: ChatService, notifications: Any) -> None:
    """Tell who whispers and what, and neither reply to it, store it, nor push it."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, her_other, his = await ada.enter(room), await ada.enter(room), await bob.enter(room)
    before = await ada.get(f"/channels/{room['id']}/events")

    await hers.push(topic, "whisper", {"typing": True})

    heard = [None, None, topic, "whisper", {"member_id": await member_of(ada, room), "data": {"typing": True}}]
    assert await his.receive() == heard
    assert await her_other.receive() == heard
    await hers.silent(topic)
    assert await ada.get(f"/channels/{room['id']}/events") == before
    assert notifications.calls == []


async def test_who_joins_with_self_hears_its_own(chat: ChatService) -> None:
    """Tell a measuring client, or one that draws by what it hears."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.open(), await bob.enter(room)
    assert await hers.join(topic, {"self": True}) == {}

    await hers.push(topic, "whisper", {"m": "~0.1.2~"})

    assert (await hers.receive())[4]["data"] == {"m": "~0.1.2~"}
    assert (await his.receive())[4]["data"] == {"m": "~0.1.2~"}


@pytest.mark.parametrize("wish", [False, "true", 1, None, {}])
async def test_only_true_is_self(chat: ChatService, wish: object) -> None:
    """Take no other value for it."""
    ada = await chat.meet("Ada")
    room = await ada.make_room()
    topic = f"room:{room['topic']}"
    hers = await ada.open()
    await hers.join(topic, {"self": wish})

    await hers.push(topic, "whisper", {})

    await hers.silent(topic)


async def test_whispers_and_shouts_of_one_socket_stay_in_order(chat: ChatService) -> None:
    """Tell a whisper behind the shout before it, though that one waits for the database."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)

    for number in range(5):
        await hers.push(topic, "shout", {"message": str(number)})
        await hers.push(topic, "whisper", {"n": number})
    frames = [await his.receive() for _ in range(10)]

    said = [payload["data"]["n"] if event == "whisper" else payload["data"]["body"] for *_, event, payload in frames]
    assert said == ["0", 0, "1", 1, "2", 2, "3", 3, "4", 4]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        ([], "the payload must be an object"),
        ("typing", "the payload must be an object"),
        (None, "the payload must be an object"),
        ({"a": "x" * 1017}, "a whisper must have at most 1024 bytes"),
        ({"a": "é" * 509}, "a whisper must have at most 1024 bytes"),
    ],
)
async def test_what_is_no_whisper_is_refused(chat: ChatService, payload: object, reason: str) -> None:
    """Say why, and tell nobody."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)

    assert await hers.ask(topic, "whisper", payload) == {"status": "error", "response": {"reason": reason}}
    await hers.push(topic, "whisper", {"a": "x" * 1016})
    assert len((await his.receive())[4]["data"]["a"]) == 1016


async def test_whispers_have_a_rate_of_their_own(chat: ChatService) -> None:
    """Refuse those over it, and let a shout pass all the same."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.enter(room)

    for number in range(60):
        await hers.push(topic, "whisper", {"n": number})
    await hers.push(topic, "shout", {"message": "loud"})

    replies = []
    while (frame := await hers.receive())[3] != "shout":
        replies.append(frame[4])
    reason = "rate limited: at most 1 whispers a second"
    assert len(replies) >= 30
    assert all(reply == {"status": "error", "response": {"reason": reason}} for reply in replies)
    heard = 0
    while (frame := await his.receive())[3] != "shout":
        heard += 1
    assert heard + len(replies) == 60


async def test_a_whisper_needs_a_joined_channel(chat: ChatService) -> None:
    """Refuse who has not joined, and who has left the room meanwhile."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his, stranger = await ada.enter(room), await bob.enter(room), await bob.open()

    assert (await stranger.ask(topic, "whisper", {}))["response"] == {"reason": "unmatched topic"}
    await bob.post("/channels/leave", {"channel_id": room["id"]})
    await hers.heard(topic)
    assert (await his.receive())[3] == "phx_close"
    assert (await his.ask(topic, "whisper", {}))["response"] == {"reason": "unmatched topic"}
    await hers.silent(topic)


async def test_the_first_serializer_and_binary_frames_carry_whispers(chat: ChatService) -> None:
    """Take the object as JSON in a binary push, and tell it as an object to a client of version 1.0.0."""
    ada, bob, room, topic = await two_in_a_room(chat)
    hers, his = await ada.enter(room), await bob.open(vsn="1.0.0")
    await his.join(topic)
    names = [part.encode() for part in ("11", "7", topic, "whisper")]

    await hers.socket.send_bytes(bytes([0, *map(len, names)]) + b"".join(names) + b'{"typing":true}')

    assert (await his.receive())[3:] == ["whisper", {"member_id": await member_of(ada, room), "data": {"typing": True}}]
