"""Let phoenix.js's own Presence class read what a running service tells of presence."""

from __future__ import annotations

from pathlib import Path

from tests.services.chat.conftest import ChatService
from tests.services.chat.features.rooms import member_ids, pair
from tests.services.chat.node import play
from tests.services.chat.test_clients import phoenix_js

__all__ = ["phoenix_js"]


async def test_phoenix_js_sees_who_is_there(chat: ChatService, phoenix_js: Path) -> None:
    """List one entry a person with a meta a socket; drop the person with the last one."""
    ada, bob, room, topic = await pair(chat)
    places = {identity: str(number) for identity, number in (await member_ids(ada, room)).items()}
    environment = {
        "BASE": chat.public.replace("http", "ws", 1) + "/socket",
        "ADA": ada.token,
        "BOB": bob.token,
        "TOPIC": topic,
    }
    said = await play(phoenix_js, "presence.mjs", environment)

    hers, his = places[ada.identity], places[bob.identity]
    assert said["counts"] == [{hers: 1}, {hers: 1, his: 1}, {hers: 1, his: 2}, {hers: 1, his: 1}, {hers: 1}]
    events = [event for event in said["events"] if event[1] == his]
    assert events == [
        ["join", his, True, 1],
        ["join", his, False, 1],
        ["leave", his, 1, 1],
        ["leave", his, 0, 1],
    ]
