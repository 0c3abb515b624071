"""Run the chat service on a real Postgres and real ports, and give tests people who talk to it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from services.chat.__main__ import SERVICE
from services.chat.app import open_apps
from services.chat.limits import Limits
from services.chat.settings import ChatSettings
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer, Verifier
from tests.services.chat.phoenix import Phoenix
from tests.services.conftest import SERVER, MakeMigrated, RunService
from tests.services.stand_in import serving


@dataclass
class Notifications:
    """Stand in for the notifications service: remember every call of its internal port.

    Attributes:
        url: where it listens.
        calls: what it was asked to tell, in order.
        arrived: the same, to wait for.
        status: what it answers with.
    """

    url: str = ""
    calls: list[dict[str, Any]] = field(default_factory=list)
    arrived: asyncio.Queue[dict[str, Any]] = field(default_factory=asyncio.Queue)
    credentials: list[str] = field(default_factory=list)
    status: int = 200


@dataclass(frozen=True)
class Person:
    """Call the chat service as one person.

    Attributes:
        base: the public port's address.
        identity: who it is.
        token: what it shows.
        client: an HTTP client.
        sockets: closes what is opened, at the end of the test.
    """

    base: str
    identity: str
    token: str
    client: aiohttp.ClientSession
    sockets: AsyncExitStack

    async def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return the status and the JSON of a call."""
        headers = {"Authorization": f"Bearer {self.token}"}
        async with self.client.request(method, self.base + path, json=body, headers=headers) as response:
            return response.status, await response.json()

    async def get(self, path: str) -> Any:
        """Return what a good call answers."""
        status, answer = await self.call("GET", path)
        assert status == 200, answer
        return answer

    async def post(self, path: str, body: object) -> Any:
        """Return what a good call answers."""
        status, answer = await self.call("POST", path, body)
        assert status == 200, answer
        return answer

    async def make_room(self, name: str = "Road trip") -> dict[str, Any]:
        """Make a room."""
        room: dict[str, Any] = (await self.post("/channels", {"channel_name": name}))["data"]
        return room

    async def open(self, *, vsn: str = "2.0.0", **options: Any) -> Phoenix:
        """Open a websocket."""
        url = f"{self.base}/socket/websocket?token={self.token}&vsn={vsn}"
        socket = await self.sockets.enter_async_context(self.client.ws_connect(url, **options))
        return Phoenix(socket, vsn=vsn)

    async def enter(self, room: dict[str, Any]) -> Phoenix:
        """Open a websocket and join a room with it."""
        phoenix = await self.open()
        await phoenix.join(f"room:{room['topic']}")
        return phoenix


@dataclass(frozen=True)
class ChatService:
    """Be a running chat service.

    Attributes:
        public: the public port's address.
        internal: the internal port's address.
        database: where it stores.
        settings: all of its settings.
        meet: makes a person whom the service knows.
    """

    public: str
    internal: str
    database: DatabaseSettings
    settings: ChatSettings
    meet: Callable[..., Any]


@pytest.fixture
async def notifications() -> AsyncIterator[Notifications]:
    """Run the stand-in."""
    stand_in = Notifications()

    async def notify(request: web.Request) -> web.Response:
        stand_in.credentials.append(request.headers["Authorization"])
        if stand_in.status == 200:
            for notice in (await request.json())["notifications"]:
                stand_in.calls.append(notice)
                stand_in.arrived.put_nowait(notice)
        return web.json_response({"results": []}, status=stand_in.status)

    app = web.Application()
    app.router.add_post("/internal/notify/batch", notify)
    async with serving(app) as url:
        stand_in.url = url
        yield stand_in


@pytest.fixture
async def database(make_migrated: MakeMigrated) -> DatabaseSettings:
    """Make one migrated database."""
    return await make_migrated(Path(SERVICE.migrations))


@pytest.fixture
def limits() -> Limits:
    """Give the usual limits; a module that tests others overrides this."""
    return Limits()


# What is tested with either owner of the sockets.
EITHER = ("test_socket", "test_attack", "test_slow_reader", "test_clients")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of the wire twice: with sockets of our own, and with aiohttp's."""
    if "chat" in metafunc.fixturenames and metafunc.module.__name__.rpartition(".")[2] in EITHER:
        metafunc.parametrize("owns_sockets", [True, False], ids=["own", "aiohttp"], indirect=True)


@pytest.fixture
def owns_sockets(request: pytest.FixtureRequest) -> bool:
    """Own the sockets, as is usual."""
    return bool(getattr(request, "param", True))


@pytest.fixture
def settings(
    *,
    database: DatabaseSettings,
    credential: Secret,
    signer: Signer,
    notifications: Notifications,
    limits: Limits,
    owns_sockets: bool,
) -> ChatSettings:
    """Make settings for a migrated database."""
    return ChatSettings(
        server=replace(SERVER),
        database=database,
        credential=credential,
        token_keys={signer.kid: signer.public_key},
        secret_key_base=Secret("x" * 64),
        notifications_url=notifications.url,
        allowed_origins=frozenset({"https://chat.example.org"}),
        limits=limits,
        owns_sockets=owns_sockets,
    )


@pytest.fixture
async def chat(
    settings: ChatSettings, run_service: RunService, signer: Signer, client: aiohttp.ClientSession
) -> AsyncIterator[ChatService]:
    """Run the service."""
    running = await run_service(open_apps(settings))
    headers = {"Authorization": f"Bearer {settings.credential.reveal()}"}
    async with AsyncExitStack() as sockets:

        async def meet(name: str | None, *, known: bool = True) -> Person:
            identity = f"{(name or '').lower()}_{len(name or '')}"
            if known:
                body = {"name": name, "identity": identity}
                async with client.post(f"{running.internal}/internal/users", json=body, headers=headers) as response:
                    assert response.status == 200
            token = mint(signer, identity, name)
            return Person(running.public, identity, token, client, sockets)

        yield ChatService(running.public, running.internal, settings.database, settings, meet)


def mint(signer: Signer, identity: str, name: str | None, *, expires_in: int = 3600) -> str:
    """Mint a token as auth does."""
    now = int(time.time())
    user = {"id": 7, "identity": identity, "name": name, "email": None, "picture": None}
    token = signer.mint(user, auth_time=now, expires=now + expires_in)
    if expires_in > 0:
        Verifier({signer.kid: signer.public_key}).verify(token)
    return token


MIGRATIONS = Path(SERVICE.migrations)
