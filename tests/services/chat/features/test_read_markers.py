"""Move markers, on several devices, by event and by call, and count what is left."""

from __future__ import annotations

from typing import Any

import pytest

from services.chat.bus import Told
from services.chat.features.doors import Pace
from services.chat.features.read_markers import DELIVERIES, ReadMarkers
from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.features.rooms import answered, code, member_ids, pair, told


async def counts(person: Person) -> tuple[int, int]:
    """Return the marker and the count of the one room."""
    (room,) = (await person.get("/channels"))["data"]
    return room["last_read_message_id"], room["unread"]


async def test_a_marker_goes_forward_only_and_is_told(chat: ChatService) -> None:
    """Share it between one's devices, tell the room, and count what is left."""
    ada, bob, room, topic = await pair(chat)
    hers, his = await ada.enter(room), await bob.enter(room)
    ids = []
    for text in ("a", "b", "c"):
        ids.append((await hers.shout(topic, text))["id"])
        await his.heard(topic)
    assert await counts(bob) == (0, 3)
    assert await counts(ada) == (0, 0)

    reply, broadcast = await answered(his, topic, "read", {"message_id": ids[1]})

    place = (await member_ids(bob, room))[bob.identity]
    assert reply == {"status": "ok", "response": {"last_read_message_id": ids[1]}}
    assert broadcast == await told(hers, topic, "read") == {"member_id": place, "message_id": ids[1]}
    assert await counts(bob) == (ids[1], 1)
    assert await his.ask(topic, "read", {"message_id": ids[0]}) == reply
    assert await bob.post(f"/channels/{room['id']}/read", {"message_id": ids[2]}) == {
        "data": {"last_read_message_id": ids[2]}
    }
    assert (await told(his, topic, "read"))["message_id"] == ids[2]
    assert await counts(bob) == (ids[2], 0)
    markers = await ada.get(f"/channels/{room['id']}/read")
    assert markers == {"data": [{"member_id": place, "message_id": ids[2]}]}


async def test_only_a_message_of_the_room_can_be_read(chat: ChatService) -> None:
    """Refuse another room's message, and one that is not said yet."""
    ada, _, room, topic = await pair(chat)
    other = await ada.make_room("Other")
    (elsewhere,) = (await ada.get(f"/channels/{other['id']}/events"))["data"]["messages"]
    hers = await ada.enter(room)

    for message_id in (elsewhere["id"], elsewhere["id"] + 1, 2**62):
        reply = await hers.ask(topic, "read", {"message_id": message_id})
        assert reply == {"status": "error", "response": {"reason": "message_id names no message of this room"}}
        assert await code(ada, "POST", f"/channels/{room['id']}/read", {"message_id": message_id}) == (422, "invalid")


async def test_the_count_ends_at_ninety_nine(chat: ChatService) -> None:
    """Count no further, and leave out tombstones and what only happened."""
    ada, bob, room, topic = await pair(chat)
    hers = await ada.enter(room)
    said = [await hers.shout(topic, str(number)) for number in range(101)]

    assert (await counts(bob))[1] == 99

    await bob.post(f"/channels/{room['id']}/read", {"message_id": said[-3]["id"]})
    await ada.call("DELETE", f"/channels/{room['id']}/messages/{said[-1]['id']}")
    assert (await counts(bob))[1] == 1


@pytest.mark.parametrize(("listeners", "at_once"), [(1, 50), (100, 20), (5000, 1)])
async def test_a_large_room_is_told_of_few_markers_at_a_time(listeners: int, at_once: int) -> None:
    """Bound the deliveries of a moment, tell the rest in later ones, and each member's last marker only."""
    notes: list[Told] = []
    rooms: Any = type("Rooms", (), {"identities": lambda _self, _topic: range(listeners)})()
    markers = ReadMarkers(None, notes.append, rooms, Pace(1))  # type: ignore[arg-type]  # asks no database here
    markers._waiting["room:a"] = {member_id: member_id * 2 for member_id in range(1, 51)}
    counts = []
    while "room:a" in markers._waiting:
        before = len(notes)
        markers._tell("room:a")
        counts.append(len(notes) - before)

    assert max(counts) == at_once
    assert at_once * listeners <= max(DELIVERIES, listeners)
    assert {note.payload["member_id"]: note.payload["message_id"] for note in notes} == {
        member_id: member_id * 2 for member_id in range(1, 51)
    }
