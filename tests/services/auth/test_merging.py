"""Test how a login merges rows that repeat a uid when the other services are away."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from services.auth.app import open_apps
from services.auth.settings import AuthSettings
from tests.services.conftest import Running, RunService
from tests.services.stand_in import serving


@dataclass
class MergingDouble:
    """Stand where chat and notifications stand, and be away as told."""

    calls: list[tuple[str, Any]] = field(default_factory=list)
    away: set[str] = field(default_factory=set)

    async def merge(self, request: web.Request) -> web.Response:
        """Answer POST /internal/users/merge."""
        service = request.match_info["service"]
        if service in self.away:
            return web.json_response({}, status=503)
        self.calls.append((service, await request.json()))
        return web.json_response({"merged": True})

    async def make_user(self, _request: web.Request) -> web.Response:
        """Answer POST /internal/users."""
        return web.json_response({"user": {"id": 1}})


@pytest.fixture
def double() -> MergingDouble:
    """Make the stand-in."""
    return MergingDouble()


@pytest.fixture
async def auth(settings: AuthSettings, double: MergingDouble, run_service: RunService) -> AsyncIterator[Running]:
    """Run the service beside the stand-in."""
    app = web.Application()
    app.router.add_post("/{service}/internal/users/merge", double.merge)
    app.router.add_post("/chat/internal/users", double.make_user)
    async with serving(app) as url:
        stood_in = replace(settings, chat_internal_url=f"{url}/chat", notifications_internal_url=f"{url}/notifications")
        yield await run_service(open_apps(stood_in))


async def log_in(client: aiohttp.ClientSession, auth: Running) -> tuple[int, Any]:
    """Log Ada in."""
    async with client.post(f"{auth.public}/login", json={"authProvider": "dev", "token": "Ada"}) as response:
        return response.status, await response.json()


async def test_chat_away_fails_the_login_and_notifications_away_does_not(
    auth: Running, settings: AuthSettings, double: MergingDouble, client: aiohttp.ClientSession
) -> None:
    """Without the chat a person would miss their rooms; devices can wait for the next login."""
    identity = (await log_in(client, auth))[1]["identity"]
    uid = identity.removeprefix("ada_")
    connection = await asyncpg.connect(settings.database.url.reveal())
    # One has the name of the oldest: its identity is the user's own.
    await connection.execute("INSERT INTO users (uid, name) VALUES ($1, 'Countess'), ($1, 'Ada'), ($1, NULL)", uid)
    unmerged = "SELECT count(*) FROM users WHERE merged_at IS NULL"
    assert double.calls == []

    double.away = {"chat"}
    assert (await log_in(client, auth))[0] == 503
    double.away = {"notifications"}
    assert (await log_in(client, auth))[0] == 200
    assert await connection.fetchval(unmerged) == 4
    double.away = set()
    double.calls.clear()
    assert (await log_in(client, auth))[0] == 200

    bodies = [{"into": identity, "from": f"_{uid}"}, {"into": identity, "from": f"countess_{uid}"}]
    assert double.calls == [(service, body) for service in ("chat", "notifications") for body in bodies]
    assert await connection.fetchval(unmerged) == 1
    double.calls.clear()
    await log_in(client, auth)
    assert double.calls == []
    await connection.close()
