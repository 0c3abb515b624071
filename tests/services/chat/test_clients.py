"""Let Phoenix clients that others wrote talk to a running service: phoenix.js and phoenix-channels-python-client."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from phoenix_channels_python_client import PHXChannelsClient
from phoenix_channels_python_client.client_types import ReconnectPolicy
from phoenix_channels_python_client.exceptions import PHXTopicError
from phoenix_channels_python_client.utils import make_message

from tests.services.chat.conftest import ChatService, Person
from tests.services.chat.node import SOURCES, NodeMissing, find_node, install_phoenix, play

SECONDS = 60
# Its usual patience is for servers that are away for minutes.
HASTE = ReconnectPolicy(base_delay_s=0.05, rapid_first_min_delay_s=0.05, rapid_second_min_delay_s=0.05)


class PythonClient:
    """Be a person behind phoenix-channels-python-client.

    Args:
        person: whose token to show.
        vsn: the serializer.
    """

    def __init__(self, person: Person, vsn: str) -> None:
        base = person.base.replace("http", "ws", 1)
        url = f"{base}/socket/websocket?token={person.token}"
        self.beat = asyncio.Event()
        self.returned = asyncio.Event()
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.client = PHXChannelsClient(
            url,
            "",
            protocol_version=vsn,
            heartbeat_interval_s=0.1,
            on_heartbeat_ack=self.beat.set,
            on_reconnect=self.returned.set,
            reconnect_policy=HASTE,
        )

    async def beaten(self) -> None:
        """Wait for the next heartbeat's reply."""
        self.beat.clear()
        await self.beat.wait()

    async def hear(self, message: Any) -> None:
        """Keep what the room is told."""
        self.heard.put_nowait((str(message.event), message.payload))

    async def push(self, topic: str, event: str, payload: dict[str, Any]) -> None:
        """Send an event with a ref of its own."""
        message = make_message(event=event, topic=topic, ref="9001", payload=payload)
        await self.client.get_protocol_handler().send_message(self.client.connection, message)


@pytest.mark.parametrize("vsn", ["1.0.0", "2.0.0"])
async def test_the_python_client_chats(chat: ChatService, vsn: str) -> None:
    """Join, be refused, beat, shout, stamp, leave and come back, with both serializers."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    await bob.post("/channels/join", {"topic": room["topic"]})
    topic = f"room:{room['topic']}"
    hers, his = PythonClient(ada, vsn), PythonClient(bob, vsn)

    async with asyncio.timeout(SECONDS), hers.client, his.client:
        await hers.client.subscribe_to_topic(topic, hers.hear)
        await his.client.subscribe_to_topic(topic, his.hear)
        with pytest.raises(PHXTopicError, match="unauthorized"):
            await his.client.subscribe_to_topic("room:none_12345678")
        await hers.beat.wait()

        await hers.push(topic, "shout", {"message": "hi"})
        told = [await client.heard.get() for client in (hers, his)]
        assert told[0] == told[1]
        event, payload = told[0]
        assert (event, payload["type"], payload["data"]["body"]) == ("shout", "message", "hi")
        stamp = {"word": "hi", "xPos": 1, "yPos": 2, "strength": 0.5, "messageId": payload["data"]["id"]}
        await his.push(topic, "stamp", stamp)
        assert [(await client.heard.get())[1]["type"] for client in (hers, his)] == ["stamp", "stamp"]

        await his.client.unsubscribe_from_topic(topic)
        await his.client.subscribe_to_topic(topic, his.hear)
        await hers.push(topic, "shout", {"message": "again"})
        assert (await his.heard.get())[1]["data"]["body"] == "again"


async def test_the_python_client_comes_back(chat: ChatService) -> None:
    """Lose the connection in the middle, connect and join again by itself, and hear the room as before."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    await bob.post("/channels/join", {"topic": room["topic"]})
    topic = f"room:{room['topic']}"
    hers, his = PythonClient(ada, "2.0.0"), PythonClient(bob, "2.0.0")

    async with asyncio.timeout(SECONDS), hers.client, his.client:
        await hers.client.subscribe_to_topic(topic, hers.hear)
        await his.client.subscribe_to_topic(topic, his.hear)
        await hers.push(topic, "whisper", {"typing": True})
        event, payload = await his.heard.get()
        assert (event, payload["data"]) == ("whisper", {"typing": True})

        assert his.client.connection is not None
        his.client.connection.transport.abort()
        await his.returned.wait()
        # It has connected; what is said until it has joined again, it does not hear.
        while his.heard.empty():
            await hers.push(topic, "whisper", {"back": True})
            await hers.beaten()
        assert (await his.heard.get())[1]["data"] == {"back": True}
        assert hers.heard.empty()


@pytest.fixture(scope="session")
def phoenix_js(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install phoenix.js once a machine; skip, with the reason, where that cannot be."""
    folder = tmp_path_factory.mktemp("phoenix-js")
    try:
        install_phoenix(folder, Path(os.environ.get("STAMPCHAT_CACHE") or Path.home() / ".cache" / "stampchat"))
    except NodeMissing as reason:
        pytest.skip(str(reason))
    return folder


async def test_phoenix_js_chats(chat: ChatService, phoenix_js: Path) -> None:
    """Play every row with the client that browsers use, a broken connection among them."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    await bob.post("/channels/join", {"topic": room["topic"]})
    environment = {
        "BASE": chat.public.replace("http", "ws", 1) + "/socket",
        "ADA": ada.token,
        "BOB": bob.token,
        "TOPIC": f"room:{room['topic']}",
    }
    said = await play(phoenix_js, "play.mjs", environment)

    assert said["joined"] == [{"ok": {}}, {"ok": {}}]
    assert said["refused"] == {"error": {"reason": "unauthorized"}}
    assert said["unmatched"] == {"error": {"reason": "unmatched topic"}}
    assert said["shouts"][0] == said["shouts"][1]
    assert said["shouts"][0]["data"]["body"] == "from phoenix.js"
    assert [stamp["data"]["strength"] for stamp in said["stamps"]] == [0.5, 0.5]
    assert said["ping"] == {"ok": {"a": 1}}
    assert said["bad"] == {"error": {"reason": "message must have 1 to 10000 characters"}}
    assert said["unanswered"] == "timeout"
    assert said["binary"] == [0, 255]
    assert said["inBinary"] == ["in binary", "in binary"]
    assert said["beat"] is True
    assert said["whispers"] == [False, True]
    assert (said["again"], said["first"], said["second"]) == ({"ok": {}}, "closed", "from the second")
    assert (said["left"], said["closed"], said["last"]) == ({"ok": {}}, "closed", {})
    # Each exactly once and in the order of the ids, whether replayed or told: "sent once more" was the same message.
    page = (await bob.get(f"/channels/{room['id']}/events"))["data"]["messages"]
    stored = [message["body"] for message in reversed(page) if message["type"] == "chat"]
    assert stored == ["from phoenix.js", *said["seen"]]
    assert sorted(said["seen"][3:]) == ["buffered", "missed 1", "missed 2", "missed 3", "the end"]
    assert said["joins"] == [True, True]


def test_a_machine_without_node_takes_one_out_of_a_wheel(tmp_path: Path) -> None:
    """Install Node and phoenix.js by their locks where PATH has no node, and speak by it."""
    environ = {**os.environ, "PATH": str(tmp_path)}
    cache = Path(os.environ.get("STAMPCHAT_CACHE") or Path.home() / ".cache" / "stampchat")
    try:
        node, npm = find_node(cache, environ)
    except NodeMissing as reason:
        pytest.skip(str(reason))

    versions = [subprocess.run([*command, "--version"], capture_output=True, check=True) for command in ([node], npm)]

    assert versions[0].stdout.startswith(b"v24.")
    assert versions[1].stdout[:1].isdigit()


def test_the_lock_names_no_registry() -> None:
    """Let npm ask the registry that the machine is set to."""
    locked = json.loads((SOURCES / "package-lock.json").read_text())

    assert "://" not in json.dumps(locked)
    assert all("integrity" in package for name, package in locked["packages"].items() if name)
