"""Drive the three services through good days and bad ones, and look for every secret in all that they wrote."""

from __future__ import annotations

import asyncio
import base64
import json
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp
import asyncpg
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from services.settings import DatabaseSettings, Secret
from tests.services.chat.phoenix import Phoenix
from tests.services.collector import Collector, collecting
from tests.services.postgres import PostgresServer
from tests.services.processes import SECONDS, Fleet
from tests.services.stand_in import serving

SERVICES = ("auth", "chat", "notifications")
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"


def mark(what: str) -> str:
    """Make a value that nothing else contains."""
    return f"{what}-{secrets.token_hex(12)}"


@dataclass
class Fcm:
    """Stand where FCM stands: take, refuse and fail by the device's token."""

    url: str = ""
    access: str = field(default_factory=lambda: mark("access"))
    arrived: asyncio.Queue[str] = field(default_factory=asyncio.Queue)

    async def token(self, _request: web.Request) -> web.Response:
        """Let everybody in."""
        return web.json_response({"access_token": self.access, "expires_in": 3599})

    async def send(self, request: web.Request) -> web.Response:
        """Answer one push."""
        device = (await request.json())["message"]["token"]
        self.arrived.put_nowait(device)
        if device.startswith("good"):
            return web.json_response({"name": "sent"})
        code = "UNREGISTERED" if device.startswith("gone") else "THIRD_PARTY_AUTH_ERROR"
        message = f"The registration token {device} is not valid."
        error = {"message": message, "details": [{"@type": FCM_ERROR, "errorCode": code}]}
        return web.json_response({"error": error}, status=404 if code == "UNREGISTERED" else 401)


@pytest.fixture
def server() -> Any:
    """Run a Postgres that the test may stop."""
    running = PostgresServer()
    try:
        running.start()
        yield running
    finally:
        running.remove()


@pytest.fixture
async def fcm() -> AsyncIterator[Fcm]:
    """Serve the stand-in."""
    double = Fcm()
    app = web.Application()
    app.router.add_post("/token", double.token)
    app.router.add_post("/v1/projects/stampchat-test/messages:send", double.send)
    async with serving(app) as url:
        double.url = url
        yield double


@dataclass
class Story:
    """Be what happens, and remember what nobody may write down.

    Attributes:
        fleet: the services.
        client: an HTTP client.
        secrets: by what they are.
        answers: what was answered where something was wrong.
    """

    fleet: Fleet
    client: aiohttp.ClientSession
    secrets: dict[str, str] = field(default_factory=dict)
    answers: list[str] = field(default_factory=list)

    def secret(self, what: str) -> str:
        """Make a secret and remember it."""
        value = self.secrets[what] = mark(what)
        return value

    async def call(
        self, service: str, method: str, path: str, *, token: str = "", body: object = None, data: bytes | None = None
    ) -> tuple[int, Any]:
        """Call a public port."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.fleet.started[service].public + path
        sent: dict[str, Any] = {"json": body} if data is None else {"data": data}
        if data is not None:
            headers["Content-Type"] = "application/json"
        async with self.client.request(method, url, headers=headers, **sent) as response:
            text = await response.text()
            if response.status >= 400:
                self.answers.append(text + str(response.headers))
            return response.status, json.loads(text) if text.startswith(("{", "[", "t")) else text

    async def log_in(self, name: str) -> str:
        """Log in and return the token."""
        status, answer = await self.call("auth", "POST", "/login", body={"authProvider": "dev", "token": name})
        assert status == 200, answer
        self.secrets[f"JWT of {name}"] = token = answer["token"]
        # The signature alone is what nobody can make.
        self.secrets[f"signature of {name}"] = token.rpartition(".")[2]
        return str(token)

    @asynccontextmanager
    async def socket(self, token: str, *, query: bool = True) -> AsyncIterator[Phoenix]:
        """Open a websocket, the token in the query or in phoenix.js's subprotocol."""
        base = self.fleet.started["chat"].public.replace("http", "ws") + "/socket/websocket?vsn=2.0.0"
        url = f"{base}&token={token}" if query else base
        encoded = base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")
        self.secrets[f"encoded {token[-8:]}"] = encoded
        protocols = () if query else ("phoenix", f"base64url.bearer.phx.{encoded}")
        async with self.client.ws_connect(url, protocols=protocols) as socket:
            yield Phoenix(socket)


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    """Serve a collector of traces."""
    async with collecting() as double:
        yield double


@pytest.fixture
async def story(
    server: PostgresServer, fcm: Fcm, collector: Collector, tmp_path: Path, client: aiohttp.ClientSession
) -> AsyncIterator[Story]:
    """Start everything."""
    password = mark("password")
    databases = {}
    admin = await asyncpg.connect(server.url("postgres"))
    for name in SERVICES:
        await admin.execute(f"CREATE DATABASE {name}")
        url = server.url(name).replace("postgres@", f"postgres:{password}@")
        databases[name] = DatabaseSettings(url=Secret(url))
    await admin.close()
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    account = {
        "type": "service_account",
        "project_id": "stampchat-test",
        "client_email": "push@example.com",
        "private_key": key.decode(),
        "token_uri": f"{fcm.url}/token",
    }
    fleet = Fleet(tmp_path, databases)
    file = fleet.write("firebase.json", json.dumps(account))
    push = {"PUSH": "fcm", "FIREBASE_SERVICE_ACCOUNT_FILE": file, "FCM_URL": fcm.url}
    traces = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.url, "OTEL_BSP_SCHEDULE_DELAY": "100"}
    fleet.extra = {name: {**traces, **(push if name == "notifications" else {})} for name in SERVICES}
    told = Story(fleet, client)
    told.secrets |= {
        "database password": password,
        "credential": fleet.credential,
        "private key": fleet.private_key,
        "secret_key_base": fleet.secret_key_base,
        "Firebase key": key.decode().splitlines()[2],
        "access token": fcm.access,
    }
    try:
        await fleet.start_all()
        yield told
    finally:
        await fleet.kill()


async def test_a_whole_run_writes_no_secret(
    story: Story, server: PostgresServer, fcm: Fcm, collector: Collector
) -> None:
    """Neither logs nor traces nor the answers to what went wrong hold any, on good days and on bad ones."""
    ada, bob = await story.log_in("Ada"), await story.log_in("Bob")
    topic = await live(story, fcm, ada, bob)
    await be_refused(story, ada)
    await crash(story, server, ada, topic)
    await lose_the_database(story, server, ada, topic)
    for process in story.fleet.started.values():
        assert await process.stop() == 0

    logs = {path.name: path.read_text() for path in story.fleet.folder.glob("*.log")}
    assert len(logs) == len(SERVICES)
    for name in SERVICES:
        assert "Traceback" not in logs[f"{name}.log"]
        assert '"exception":' in logs[f"{name}.log"], f"{name} was not made to crash"
    outcomes = {span.attributes["stampchat.push.outcome"] for span in collector.spans if span.name == "push"}
    assert {"sent", "gone"} <= outcomes
    assert [span for span in collector.spans if span.name == "shout" and span.is_error]
    assert_sockets_have_ids(story.fleet.started["chat"].lines())
    for what, secret in story.secrets.items():
        found = [name for name, text in logs.items() if secret in text or quote(secret) in text]
        assert not found, f"{what} is in {found}"
        assert secret not in str(collector.spans), f"{what} is in a trace"
        # Whoever sent a value may get it back in a good answer, and not in an error.
        assert not [answer for answer in story.answers if secret in answer], f"{what} is in an error answer"


def assert_sockets_have_ids(lines: list[dict[str, Any]]) -> None:
    """Fail when a channel that crashed cannot be traced to the handshake of its socket."""
    handshakes = {line["request_id"] for line in lines if line.get("path") == "/socket/websocket"}
    crashed = [line["request_id"] for line in lines if line["message"] == "a channel failed"]
    assert crashed
    assert handshakes.issuperset(crashed)


async def live(story: Story, fcm: Fcm, ada: str, bob: str) -> str:
    """Let two people talk; return their room's topic."""
    for device in ("good", "gone", "refused"):
        token = story.secret(device)
        assert (await story.call("notifications", "POST", "/register", token=bob, body={"token": token}))[0] == 200
    _, made = await story.call("chat", "POST", "/channels", token=ada, body={"channel_name": "Road trip"})
    story.secrets["invitation"] = topic = made["data"]["topic"]
    await story.call("chat", "POST", "/channels/join", token=bob, body={"topic": topic})
    async with story.socket(ada) as first, story.socket(ada, query=False) as second:
        room = f"room:{topic}"
        for phoenix in (first, second):
            await phoenix.join(room)
        await first.shout(room, story.secret("message"))
        await first.ask(room, story.secret("event"), {"typing": story.secret("payload")})
        await first.push(room, "stamp", {"word": story.secret("word"), "messageId": "none"})
        await first.push(room, "shout", {"message": story.secret("NUL") + "\x00"})
        await first.push(room, "whisper", {"message": story.secret("whisper")})
        await first.silent_or_told()
    async with asyncio.timeout(SECONDS):
        for _ in range(3):
            await fcm.arrived.get()
    _, answer = await story.call("auth", "POST", "/refresh", token=ada, body={"token": ada})
    story.secrets["refreshed"] = answer["token"]
    assert (await story.call("notifications", "POST", "/unregister", token=bob, body={"token": token}))[0] == 200
    return str(topic)


async def be_refused(story: Story, ada: str) -> None:
    """Send what is wrong, with something in it that nobody may write down."""
    for service in SERVICES:
        bad = story.secret(f"bearer for {service}")
        for path in ("/refresh", "/channels", "/register", f"/nowhere?token={bad}"):
            for method in ("GET", "POST"):
                await story.call(service, method, path, token=bad, data=b'{"token":"' + bad.encode())
        forged = ada.rpartition(".")[0] + "." + story.secret(f"signature for {service}")
        await story.call(service, "POST", "/refresh", token=forged)
        assert (await story.call(service, "GET", "/test", token=bad + "x" * 9000))[0] == 400
    wrong: list[tuple[str, str, object]] = [
        ("auth", "/login", {"authProvider": "google", "token": story.secret("ID token")}),
        ("auth", "/login", {"authProvider": story.secret("provider"), "token": "x"}),
        ("auth", "/login", {"authProvider": "dev", "token": [story.secret("list")]}),
        ("notifications", "/register", {"token": story.secret("long") * 100}),
        ("notifications", "/register", {"token": {"a": story.secret("object")}}),
        ("chat", "/channels", {"channel_name": story.secret("name") + "\x00"}),
        ("chat", "/channels/join", {"topic": story.secret("topic")}),
    ]
    for service, path, body in wrong:
        assert (await story.call(service, "POST", path, token=ada, body=body))[0] >= 400
    with pytest.raises(aiohttp.WSServerHandshakeError):
        async with story.socket(story.secret("socket")):
            pass


async def crash(story: Story, server: PostgresServer, ada: str, topic: str) -> None:
    """Break the tables under the services, so that Postgres quotes rows and handlers fail."""
    breaks = {
        "chat": "ALTER TABLE messages ADD CONSTRAINT no CHECK (body NOT LIKE 'crash%')",
        "notifications": "ALTER TABLE tokens ADD CONSTRAINT no CHECK (fcm_token NOT LIKE 'crash%')",
        "auth": "ALTER TABLE users RENAME TO people",
    }
    for name, sql in breaks.items():
        connection = await asyncpg.connect(server.url(name))
        await connection.execute(sql)
        await connection.close()
    async with story.socket(ada) as phoenix:
        await phoenix.join(f"room:{topic}")
        await phoenix.push(f"room:{topic}", "shout", {"message": story.secret("crashing message")})
        story.answers.append(str((await phoenix.receive())[3:]))
    device = {"token": story.secret("crashing device")}
    assert (await story.call("notifications", "POST", "/register", token=ada, body=device))[0] == 500
    login = {"authProvider": "dev", "token": story.secret("crashing name")}
    assert (await story.call("auth", "POST", "/login", body=login))[0] == 500


async def lose_the_database(story: Story, server: PostgresServer, ada: str, topic: str) -> None:
    """Take Postgres away under a call of each service, and under a shout."""
    async with story.socket(ada) as phoenix:
        await phoenix.join(f"room:{topic}")
        await asyncio.to_thread(server.stop)
        await phoenix.push(f"room:{topic}", "shout", {"message": story.secret("lost message")})
        story.answers.append(str((await phoenix.receive())[3:]))
    device = {"token": story.secret("lost device")}
    assert (await story.call("notifications", "POST", "/register", token=ada, body=device))[0] == 503
    assert (await story.call("chat", "GET", "/channels", token=ada))[0] == 503
    assert (await story.call("auth", "POST", "/refresh", token=ada))[0] == 503
    for process in story.fleet.started.values():
        async with story.client.get(f"{process.internal}/readyz") as response:
            assert response.status == 503
            story.answers.append(await response.text())
