"""Let Phoenix clients that others wrote talk to a running service: phoenix.js and phoenix-channels-python-client."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from phoenix_channels_python_client import PHXChannelsClient
from phoenix_channels_python_client.exceptions import PHXTopicError
from phoenix_channels_python_client.utils import make_message

from tests.services.chat.conftest import ChatService, Person

SECONDS = 30
SOURCES = Path(__file__).parent / "phoenix_js"


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
        self.heard: asyncio.Queue[Any] = asyncio.Queue()
        self.client = PHXChannelsClient(
            url, "", protocol_version=vsn, heartbeat_interval_s=0.1, on_heartbeat_ack=self.beat.set
        )

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


@pytest.fixture(scope="session")
def phoenix_js() -> Path:
    """Install phoenix.js once a machine; skip, with the reason, where that cannot be."""
    if shutil.which("node") is None or shutil.which("npm") is None:
        pytest.skip("phoenix.js needs node and npm on PATH")
    cache = Path(os.environ.get("STAMPCHAT_CACHE") or Path.home() / ".cache" / "stampchat")
    folder = cache / "test-phoenix-js"
    folder.mkdir(parents=True, exist_ok=True)
    for source in SOURCES.iterdir():
        shutil.copy(source, folder)
    if not (folder / "node_modules" / "phoenix").is_dir():
        command = ["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", "--ignore-scripts"]
        install = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if install.returncode:
            pytest.skip(f"phoenix.js could not be installed: {install.stderr[-300:]}")
    return folder


async def test_phoenix_js_chats(chat: ChatService, phoenix_js: Path) -> None:
    """Play the same with the client that browsers use: authToken, binary frames, replay."""
    ada, bob = await chat.meet("Ada"), await chat.meet("Bob")
    room = await ada.make_room()
    await bob.post("/channels/join", {"topic": room["topic"]})
    environment = {
        "PATH": os.environ["PATH"],
        "BASE": chat.public.replace("http", "ws", 1) + "/socket",
        "ADA": ada.token,
        "BOB": bob.token,
        "TOPIC": f"room:{room['topic']}",
    }
    node = await asyncio.create_subprocess_exec(
        "node",
        "play.mjs",
        cwd=phoenix_js,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    output, errors = await asyncio.wait_for(node.communicate(), 60)
    assert node.returncode == 0, errors.decode()
    said = json.loads(output)

    assert said["joined"] == [{"ok": {}}, {"ok": {}}]
    assert said["refused"] == {"error": {"reason": "unauthorized"}}
    assert said["unmatched"] == {"error": {"reason": "unmatched topic"}}
    assert said["shouts"][0] == said["shouts"][1]
    assert said["shouts"][0]["data"]["body"] == "from phoenix.js"
    assert [stamp["data"]["strength"] for stamp in said["stamps"]] == [0.5, 0.5]
    assert said["ping"] == {"ok": {"a": 1}}
    assert said["bad"] == {"error": {"reason": "message must have 1 to 10000 characters"}}
    assert said["binary"] == [0, 255]
    assert said["beat"] is True
    assert said["left"] == {"ok": {}}
    assert said["closed"] == "closed"
    (replayed,) = said["again"]["ok"]["messages"]
    assert replayed["id"] == said["shouts"][0]["data"]["id"]
    assert said["again"]["ok"]["recovered"] is True
    # The room's history has what the live broadcast had not: the stamp.
    assert [stamp["word"] for stamp in replayed["stamps"]] == ["from"]
