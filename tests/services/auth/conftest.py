"""Run the auth service beside stand-ins for chat and notifications that record, refuse, hang or are away."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from services.auth.app import open_apps
from services.auth.settings import AuthSettings
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer
from tests.services.auth.processes import environment
from tests.services.conftest import SERVER, MakeMigrated, Running, RunService
from tests.services.stand_in import serving

MIGRATIONS = Path("services/auth/migrations").resolve()


@dataclass
class ChatDouble:
    """Stand where the chat service stands: record what arrives, and fail as often as told."""

    url: str = ""
    users: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    merges: list[dict[str, str]] = field(default_factory=list)
    failures: int = 0
    test_fails: bool = False

    async def make_user(self, request: web.Request) -> web.Response:
        """Answer POST /internal/users."""
        self.headers.append(dict(request.headers))
        if self.failures > 0:
            self.failures -= 1
            return web.json_response({"error": {"code": "unavailable", "message": "Away."}}, status=503)
        self.users.append(await request.json())
        return web.json_response({"user": {"id": len(self.users)}})

    async def merge(self, request: web.Request) -> web.Response:
        """Answer POST /internal/users/merge."""
        self.merges.append(await request.json())
        return web.json_response({"merged": True})

    async def test(self, _request: web.Request) -> web.Response:
        """Answer GET /test."""
        return web.json_response({"test": "success"}, status=500 if self.test_fails else 200)


@dataclass
class DeletionDouble:
    """Stand where chat and notifications stand, make users gladly, and forget them as told.

    Attributes:
        url: where it listens.
        calls: who was to be forgotten by whom, in order: ("chat", identity).
        queries: the query of each call.
        answers: the statuses and bodies of the next calls; then it is done.
        hang_at: the service that does not answer before the gate opens.
        gate: ends the hanging.
        hanging: set when a call hangs.
    """

    url: str = ""
    calls: list[tuple[str, str]] = field(default_factory=list)
    queries: list[dict[str, str]] = field(default_factory=list)
    answers: list[tuple[int, Any]] = field(default_factory=list)
    hang_at: str = ""
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    hanging: asyncio.Event = field(default_factory=asyncio.Event)

    async def delete(self, request: web.Request) -> web.Response:
        """Answer DELETE /internal/users/{identity}."""
        service = request.match_info["service"]
        self.calls.append((service, request.match_info["identity"]))
        self.queries.append(dict(request.query))
        if service == self.hang_at:
            self.hanging.set()
            await self.gate.wait()
        status, body = self.answers.pop(0) if self.answers else (200, {"deleted": True})
        return web.json_response(body, status=status)

    async def make_user(self, _request: web.Request) -> web.Response:
        """Answer POST /internal/users."""
        return web.json_response({"user": {"id": 1}})


@pytest.fixture
async def deletion() -> AsyncIterator[DeletionDouble]:
    """Serve the stand-in on a free port, under /chat and /notifications."""
    double = DeletionDouble()
    app = web.Application()
    app.router.add_delete("/{service}/internal/users/{identity:.+}", double.delete)
    app.router.add_post("/chat/internal/users", double.make_user)
    async with serving(app) as url:
        double.url = url
        yield double
        double.gate.set()


@pytest.fixture
async def chat() -> AsyncIterator[ChatDouble]:
    """Serve a chat double on a free port."""
    double = ChatDouble()
    app = web.Application()
    app.router.add_post("/internal/users", double.make_user)
    app.router.add_post("/internal/users/merge", double.merge)
    app.router.add_get("/test", double.test)
    async with serving(app) as url:
        double.url = url
        yield double


@pytest.fixture
async def database(make_migrated: MakeMigrated) -> DatabaseSettings:
    """Make one migrated database."""
    return await make_migrated(MIGRATIONS)


@pytest.fixture
def private_key() -> Secret:
    """Make the string from which the service derives its key."""
    return Secret(secrets.token_urlsafe(48))


@pytest.fixture
def settings(database: DatabaseSettings, credential: Secret, private_key: Secret, chat: ChatDouble) -> AuthSettings:
    """Tell the service where everything is."""
    signer = Signer(private_key)
    return AuthSettings(
        server=SERVER,
        database=database,
        credential=credential,
        private_key=private_key,
        token_keys={signer.kid: signer.public_key},
        chat_internal_url=chat.url,
        chat_public_url=chat.url,
        notifications_internal_url="http://127.0.0.1:9",
        logins=("dev",),
    )


@pytest.fixture
async def auth(settings: AuthSettings, run_service: RunService) -> Running:
    """Run the service on a migrated database."""
    return await run_service(open_apps(settings))


@pytest.fixture
def environ(
    tmp_path: Path, database: DatabaseSettings, private_key: Secret, credential: Secret, deletion: DeletionDouble
) -> dict[str, str]:
    """Set a process of the service up, on a migrated database and beside the stand-ins."""
    urls = {
        "CHAT_INTERNAL_URL": f"{deletion.url}/chat",
        "CHAT_PUBLIC_URL": f"{deletion.url}/chat",
        "NOTIFICATIONS_INTERNAL_URL": f"{deletion.url}/notifications",
    }
    return environment(tmp_path, database=database, private_key=private_key, credential=credential, urls=urls)
