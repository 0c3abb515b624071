"""Give the tests of features rooms with people in them."""

from __future__ import annotations

from typing import Any

from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.phoenix import Phoenix


async def pair(chat: ChatService) -> tuple[Person, Person, dict[str, Any], str]:
    """Return two people, their room, which the first owns, and its topic."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    await bob.post("/channels/join", {"topic": room["topic"]})
    return ada, bob, room, f"room:{room['topic']}"


async def member_ids(person: Person, room: dict[str, Any]) -> dict[str, int]:
    """Return who has which place in a room, by identity."""
    members = (await person.get(f"/channels/{room['id']}/events"))["data"]["members"]
    return {member["user"]["identity"]: member["id"] for member in members}


async def told(phoenix: Phoenix, topic: str, event: str) -> Any:
    """Return the payload of the next frame, which is a broadcast of this name."""
    frame = await phoenix.receive()
    assert frame[:4] == [None, None, topic, event], frame
    return frame[4]


async def answered(phoenix: Phoenix, topic: str, event: str, payload: Any) -> tuple[Any, Any]:
    """Send an event; return the payloads of its reply and of the broadcast of the same name, in whichever order."""
    ref = await phoenix.push(topic, event, payload)
    frames = [await phoenix.receive() for _ in range(2)]
    (reply,) = [frame[4] for frame in frames if frame[1:4] == [ref, topic, "phx_reply"]]
    (broadcast,) = [frame[4] for frame in frames if frame[:4] == [None, None, topic, event]]
    return reply, broadcast


async def code(person: Person, method: str, path: str, body: object = None) -> tuple[int, str | None]:
    """Return the status of a call and, of a failed one, the error's code."""
    status, answer = await person.call(method, path, body)
    return status, answer.get("error", {}).get("code")
