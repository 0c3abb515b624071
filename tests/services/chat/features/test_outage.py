"""Take the database away from the features, and give it back."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import asyncpg

from services.chat.app import open_apps
from services.chat.settings import ChatSettings
from services.tokens import Signer
from tests.services.chat.conftest import Person, mint
from tests.services.chat.features.test_doors import CALLS, filled
from tests.services.chat.phoenix import Phoenix
from tests.services.chat.test_app import own_postgres, own_settings
from tests.services.conftest import RunService
from tests.services.postgres import PostgresServer

__all__ = ["own_postgres", "own_settings"]
IDS = {"room": 1, "message": 1, "member": 1, "user": 1}
OTHERS: list[tuple[str, str, dict[str, Any] | None]] = [
    ("GET", "/blocks", None),
    ("POST", "/blocks", {"user_id": 1}),
    ("DELETE", "/blocks/1", None),
]


async def test_every_feature_answers_without_its_database_and_goes_on_with_it(
    own_settings: ChatSettings,
    own_postgres: PostgresServer,
    run_service: RunService,
    signer: Signer,
    client: aiohttp.ClientSession,
) -> None:
    """Answer 503 with Retry-After, and error replies, and keep the channel; what was there is there again."""
    running = await run_service(open_apps(own_settings))
    connection = await asyncpg.connect(own_settings.database.url.reveal())
    row = await connection.fetchrow(
        "SELECT u.identity, c.topic FROM members m JOIN users u ON u.id = m.user_id"
        " JOIN channels c ON c.id = m.channel_id WHERE m.is_participant LIMIT 1"
    )
    await connection.close()
    assert row is not None
    identity, topic = row
    token = mint(signer, identity, identity)
    async with AsyncExitStack() as sockets:
        person = Person(running.public, identity, token, client, sockets)
        phoenix: Phoenix = await person.open()
        await phoenix.join(f"room:{topic}", {"presence": True})
        assert (await phoenix.receive())[3] == "presence_state"
        assert (await phoenix.receive())[3] == "presence_diff"
        said = await phoenix.shout(f"room:{topic}", "a")
        events = [("read", {}), ("edit", {"message": "b"}), ("delete", {})]

        own_postgres.stop()

        for method, path, body in CALLS + OTHERS:
            async with client.request(
                method,
                running.public + filled(path, IDS),
                json=filled(body, IDS),
                headers={"Authorization": f"Bearer {token}"},
            ) as response:
                assert (response.status, "Retry-After" in response.headers) == (503, True), path
        for event, fields in events:
            reply = await phoenix.ask(f"room:{topic}", event, {"message_id": said["id"], **fields})
            assert (reply["status"], "database" in reply["response"]["reason"]) == ("error", True)

        own_postgres.start()

        for event, fields in events:
            ref = await phoenix.push(f"room:{topic}", event, {"message_id": said["id"], **fields})
            while (frame := await phoenix.receive())[1] != ref:
                pass
            assert frame[4]["status"] == "ok"
        assert (await person.get("/blocks"))["data"] == []
