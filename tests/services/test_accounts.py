"""Test the three services together: an account's whole life, from the first login to its deletion and after it."""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.auth.__main__ import SERVICE as AUTH
from services.auth.settings import AuthSettings
from services.chat.__main__ import SERVICE as CHAT
from services.chat.limits import Limits
from services.chat.settings import ChatSettings
from services.migrations import migrate
from services.notifications.__main__ import SERVICE as NOTIFICATIONS
from services.notifications.settings import NotificationsSettings
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer
from tests.services.chat.phoenix import Phoenix
from tests.services.conftest import SERVER, MakeDatabase, Running, RunService


@dataclass(frozen=True)
class World:
    """Be the three services, each with a database of its own.

    Attributes:
        auth: where it listens.
        chat: the same.
        notifications: the same.
        databases: by service name.
        signer: auth's key, for tokens that auth would not mint.
        credential: what internal ports ask for.
        client: an HTTP client.
    """

    auth: Running
    chat: Running
    notifications: Running
    databases: dict[str, DatabaseSettings]
    signer: Signer
    credential: Secret
    client: aiohttp.ClientSession

    async def call(self, method: str, url: str, token: str = "", body: object = None) -> tuple[int, Any]:
        """Return the status and the JSON of a call."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        async with self.client.request(method, url, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def good(self, method: str, url: str, token: str = "", body: object = None) -> Any:
        """Return what a good call answers."""
        status, answer = await self.call(method, url, token, body)
        assert status == 200, answer
        return answer

    async def log_in(self, name: str) -> dict[str, Any]:
        """Log in by name."""
        body = {"authProvider": "dev", "token": name}
        answer: dict[str, Any] = await self.good("POST", f"{self.auth.public}/login", body=body)
        return answer

    def mint(self, user: dict[str, Any], *, minted: int = 0) -> str:
        """Mint a token as auth would have done some seconds ago."""
        now = int(time.time()) + minted
        fields = {name: user[name] for name in ("id", "name", "email", "picture", "identity")}
        return self.signer.mint(fields, auth_time=now, expires=now + 3600, now=now)

    async def rows(self, service: str, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask a service's database."""
        connection = await asyncpg.connect(self.databases[service].url.reveal())
        rows = await connection.fetch(sql, *values)
        await connection.close()
        return [tuple(row) for row in rows]


@pytest.fixture
async def world(
    make_database: MakeDatabase, run_service: RunService, credential: Secret, client: aiohttp.ClientSession
) -> World:
    """Run all three, pushes off."""
    private_key = Secret(secrets.token_hex(32))
    signer = Signer(private_key)
    keys = {signer.kid: signer.public_key}
    databases = {}
    for service in (AUTH, CHAT, NOTIFICATIONS):
        databases[service.name] = await make_database()
        await migrate(databases[service.name], service.migrations)
    notifications = await run_service(
        NOTIFICATIONS.open_apps(
            NotificationsSettings(
                server=SERVER,
                database=databases["notifications"],
                credential=credential,
                token_keys=keys,
                push="off",
            )
        )
    )
    chat = await run_service(
        CHAT.open_apps(
            ChatSettings(
                server=SERVER,
                database=databases["chat"],
                credential=credential,
                token_keys=keys,
                secret_key_base=Secret("x" * 64),
                notifications_url=notifications.internal,
                allowed_origins=frozenset(),
                limits=Limits(),
            )
        )
    )
    auth = await run_service(
        AUTH.open_apps(
            AuthSettings(
                server=SERVER,
                database=databases["auth"],
                credential=credential,
                private_key=private_key,
                token_keys=keys,
                chat_internal_url=chat.internal,
                chat_public_url=chat.public,
                notifications_internal_url=notifications.internal,
                logins=("dev",),
            )
        )
    )
    return World(auth, chat, notifications, databases, signer, credential, client)


async def enter(world: World, token: str, topic: str) -> Phoenix:
    """Open a websocket and join a room."""
    socket = await world.client.ws_connect(f"{world.chat.public}/socket/websocket?token={token}&vsn=2.0.0")
    phoenix = Phoenix(socket, vsn="2.0.0")
    await phoenix.join(f"room:{topic}")
    return phoenix


async def test_a_deleted_person_is_gone_everywhere_and_a_new_login_brings_nothing_back(world: World) -> None:
    """Sessions, rooms, words, stamps, devices and the name go; the others keep the room and see that one left."""
    ada, bob = await world.log_in("Ada Lovelace"), await world.log_in("Bob")
    chat, token = world.chat.public, ada["token"]
    room = (await world.good("POST", f"{chat}/channels", token, {"channel_name": "Road trip"}))["data"]
    await world.good("POST", f"{chat}/channels/join", bob["token"], {"topic": room["topic"]})
    await world.good("POST", f"{world.notifications.public}/register", token, {"token": "ada-phone"})
    hers, his = await enter(world, token, room["topic"]), await enter(world, bob["token"], room["topic"])
    topic = f"room:{room['topic']}"
    said = await hers.shout(topic, "hi")
    await his.heard(topic)
    stamp = {"word": "yes", "xPos": 1, "yPos": 2, "strength": 0.5, "messageId": said["id"]}
    await hers.push(topic, "stamp", stamp)
    await his.heard(topic, "stamp")
    await hers.heard(topic, "stamp")

    answer = await world.good("DELETE", f"{world.auth.public}/account", token)

    assert answer == {"deleted": True, "pending": False}
    assert "Ada" in (await his.heard(topic))["body"]
    assert (await hers.receive())[2:4] == [topic, "phx_close"]
    status, error = await world.call("POST", f"{world.auth.public}/refresh", token)
    assert (status, error["error"]["code"]) == (401, "user_gone")
    for method, path, body in (
        ("GET", "/channels", None),
        ("POST", "/channels", {"channel_name": "x"}),
        ("POST", "/channels/join", {"topic": room["topic"]}),
    ):
        status, error = await world.call(method, chat + path, token, body)
        assert (status, error["error"]["code"]) == (401, "unknown_user"), path
    older = world.mint(ada, minted=-10)
    status, error = await world.call("POST", f"{world.notifications.public}/register", older, {"token": "ada-phone"})
    assert (status, error["error"]["code"]) == (401, "unknown_user")

    for service, table in (("auth", "users"), ("notifications", "tokens"), ("chat", "messages"), ("chat", "users")):
        text = str(await world.rows(service, f"TABLE {table}"))
        assert "Ada" not in text, (service, table)
        assert ada["identity"] not in text, (service, table)
    assert await world.rows("auth", "SELECT * FROM deletions") == []
    assert await world.rows("chat", "SELECT * FROM stamps") == []
    page = (await world.good("GET", f"{chat}/channels/{room['id']}/events", bob["token"]))["data"]
    assert [message["body"] for message in page["messages"] if message["id"] == said["id"]] == [""]

    again = await world.log_in("Ada Lovelace")
    assert (again["identity"], again["id"] > ada["id"]) == (ada["identity"], True)
    assert await world.good("GET", f"{chat}/channels", again["token"]) == {"data": []}
    await world.good("POST", f"{world.notifications.public}/register", again["token"], {"token": "new-phone"})
