"""Run the three services together, each by its own settings, on databases that a test chooses."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from services.auth.__main__ import SERVICE as AUTH
from services.chat.__main__ import SERVICE as CHAT
from services.notifications.__main__ import SERVICE as NOTIFICATIONS
from services.serve import Service, listening
from services.settings import Secret, Source
from services.tokens import Signer, encode_public_key
from tests.services.chat.phoenix import Phoenix

SERVICES: dict[str, Service[Any]] = {"auth": AUTH, "chat": CHAT, "notifications": NOTIFICATIONS}


@dataclass(frozen=True)
class Answer:
    """Hold what a call came to."""

    status: int
    body: Any
    retry_after: str | None

    @property
    def code(self) -> str:
        """Return the error's word for programs."""
        return str(self.body["error"]["code"])


@dataclass(frozen=True)
class House:
    """Be three running services.

    Attributes:
        public: their public ports.
        internal: their internal ports.
        client: an HTTP client.
        sockets: closes what is opened.
    """

    public: Mapping[str, str]
    internal: Mapping[str, str]
    client: aiohttp.ClientSession
    sockets: AsyncExitStack

    async def call(self, method: str, service: str, path: str, body: object = None, *, token: str = "") -> Answer:
        """Call a public port."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = self.public[service] + path
        async with self.client.request(method, url, json=body, headers=headers) as response:
            return Answer(response.status, await response.json(), response.headers.get("Retry-After"))

    async def login(self, name: str) -> dict[str, Any]:
        """Log in by a name; return the user and the token."""
        answer = await self.call("POST", "auth", "/login", {"authProvider": "dev", "token": name})
        assert answer.status == 200, answer
        user: dict[str, Any] = answer.body
        return user

    async def make_room(self, token: str, name: str = "Road trip") -> dict[str, Any]:
        """Make a room."""
        answer = await self.call("POST", "chat", "/channels", {"channel_name": name}, token=token)
        assert answer.status == 200, answer
        room: dict[str, Any] = answer.body["data"]
        return room

    async def open(self, token: str) -> Phoenix:
        """Open a websocket."""
        url = f"{self.public['chat']}/socket/websocket?token={token}&vsn=2.0.0"
        return Phoenix(await self.sockets.enter_async_context(self.client.ws_connect(url)))

    async def enter(self, token: str, topic: str) -> Phoenix:
        """Open a websocket and join a room."""
        phoenix = await self.open(token)
        await phoenix.join(f"room:{topic}")
        return phoenix

    async def readiness(self, service: str) -> tuple[int, str]:
        """Return the status of a service's readiness, and what it says of the database."""
        async with self.client.get(f"{self.internal[service]}/readyz") as response:
            return response.status, (await response.json())["checks"]["database"]

    async def ready(self, service: str) -> None:
        """Wait until a service is ready; nobody restarts it."""
        async with asyncio.timeout(60):
            while (await self.readiness(service))[0] != 200:  # noqa: ASYNC110  # a probe polls as well
                await asyncio.sleep(0.05)


@asynccontextmanager
async def house(folder: Path, urls: Mapping[str, str], *, private_key: str = "", **more: str) -> AsyncIterator[House]:
    """Serve; the databases are migrated already.

    Args:
        folder: an empty one, for what a deployment mounts.
        urls: each service's database.
        private_key: of auth; made unless told.
        more: settings of all three, without their prefix.
    """
    environ = {**_mount(folder, private_key or secrets.token_urlsafe(48)), **{name: str(more[name]) for name in more}}
    public: dict[str, str] = {}
    internal: dict[str, str] = {}
    async with AsyncExitStack() as stack:
        # Each learns of those before it; auth calls both.
        for name in ("notifications", "chat", "auth"):
            (folder / f"{name}-url").write_text(urls[name])
            own = {
                **environ,
                "DATABASE_URL_FILE": str(folder / f"{name}-url"),
                **{f"{other.upper()}_INTERNAL_URL": url for other, url in internal.items()},
                **{f"{other.upper()}_PUBLIC_URL": url for other, url in public.items()},
            }
            source = Source({f"STAMPCHAT_{key}": value for key, value in own.items()})
            settings = SERVICES[name].load_settings(source)
            source.finish()
            apps = await stack.enter_async_context(SERVICES[name].open_apps(settings))
            ports = await stack.enter_async_context(listening(apps, settings.server))
            public[name], internal[name] = (f"http://127.0.0.1:{port}" for port in (ports.public, ports.internal))
        client = await stack.enter_async_context(aiohttp.ClientSession())
        sockets = await stack.enter_async_context(AsyncExitStack())
        yield House(public, internal, client, sockets)


def _mount(folder: Path, private_key: str) -> dict[str, str]:
    """Write the files of a deployment; return the settings that name them, and the usual others."""
    signer = Signer(Secret(private_key))
    (folder / "token-keys").mkdir()
    (folder / "token-keys" / f"{signer.kid}.pem").write_text(encode_public_key(signer.public_key))
    files = {
        "PRIVATE_KEY_FILE": private_key,
        "INTERNAL_CREDENTIAL_FILE": secrets.token_hex(32),
        "SECRET_KEY_BASE_FILE": secrets.token_hex(32),
    }
    for name, content in files.items():
        (folder / name).write_text(content)
    return {
        **{name: str(folder / name) for name in files},
        "TOKEN_KEYS_DIR": str(folder / "token-keys"),
        "HOST": "127.0.0.1",
        "PUBLIC_PORT": "0",
        "INTERNAL_PORT": "0",
        "GRACE_SECONDS": "2",
        "DB_POOL_SIZE": "5",
        # One test calls as many do.
        **{f"RATE_{name}": "1000" for name in ("USER_PER_SECOND", "USER_BURST", "WRITES_PER_SECOND", "WRITES_BURST")},
        **{f"RATE_LOGINS_{name}": "1000" for name in ("PER_MINUTE", "BURST")},
        **{f"RATE_ADDRESS_{name}": "1000" for name in ("PER_SECOND", "BURST")},
        **{f"{name}_PER_SECOND": "10000" for name in ("EVENTS", "USER_EVENTS", "HANDSHAKES")},
        **{f"{name}_BURST": "10000" for name in ("EVENTS", "USER_EVENTS", "HANDSHAKES")},
        "LOGIN": "dev",
        "PUSH": "off",
    }
