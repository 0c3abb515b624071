"""Test logins that race, that wait for another part, and that are wrong in every way."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import aiohttp
import asyncpg
import pytest
from aiohttp import web

from services.auth import sessions
from services.auth.app import open_apps
from services.auth.settings import AuthSettings
from services.migrations import migrate
from services.settings import DatabaseSettings, Secret
from tests.services.auth.conftest import MIGRATIONS
from tests.services.auth.processes import SECONDS, auth_process
from tests.services.conftest import Running, RunService
from tests.services.postgres import PostgresServer
from tests.services.stand_in import serving

ADA = {"authProvider": "dev", "token": "Ada"}


async def log_in(client: aiohttp.ClientSession, public: str) -> tuple[int, Any]:
    """Log Ada in."""
    async with client.post(f"{public}/login", json=ADA) as response:
        return response.status, await response.json()


async def test_first_logins_that_race_across_processes_make_one_user(
    environ: dict[str, str], database: DatabaseSettings, client: aiohttp.ClientSession
) -> None:
    """All of them get the same one, whichever process they reach."""
    # So many at once from one address are otherwise a flood.
    environ["STAMPCHAT_RATE_LOGINS_BURST"] = "1000"
    async with auth_process(environ) as one, auth_process(environ) as other:
        answers = await asyncio.gather(*(log_in(client, process.public) for process in (one, other) * 20))

    assert {(status, answer["id"]) for status, answer in answers} == {(200, 1)}
    connection = await asyncpg.connect(database.url.reveal())
    assert await connection.fetchval("SELECT count(*) FROM users") == 1
    await connection.close()


class HangingChat:
    """Stand where chat stands, and answer nothing before the gate opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.asked = asyncio.Event()

    async def make_user(self, _request: web.Request) -> web.Response:
        """Answer POST /internal/users."""
        self.asked.set()
        await self.gate.wait()
        return web.json_response({"user": {"id": 1}})


@pytest.fixture
async def hanging(settings: AuthSettings) -> AsyncIterator[tuple[HangingChat, AuthSettings]]:
    """Serve a chat that hangs, and the settings of an auth service beside it."""
    chat = HangingChat()
    app = web.Application()
    app.router.add_post("/internal/users", chat.make_user)
    async with serving(app) as url:
        yield chat, replace(settings, chat_internal_url=url)
        chat.gate.set()


async def test_a_chat_that_hangs_fails_the_login_in_time_and_the_next_one_heals_it(
    hanging: tuple[HangingChat, AuthSettings],
    run_service: RunService,
    client: aiohttp.ClientSession,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nobody looks at a spinner for half a minute."""
    chat, settings = hanging
    monkeypatch.setattr(sessions, "CHAT_SECONDS", 0.05)
    auth = await run_service(open_apps(settings))

    async with client.post(f"{auth.public}/login", json=ADA) as response:
        assert (response.status, (await response.json())["error"]["code"]) == (503, "peer_unavailable")
        assert int(response.headers["Retry-After"]) > 0
    chat.gate.set()
    monkeypatch.undo()

    assert (await log_in(client, auth.public))[0] == 200


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """Run a database that this test may stop."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


async def test_a_database_that_goes_away_during_a_login_fails_it_cleanly_and_comes_back(
    own_server: PostgresServer,
    hanging: tuple[HangingChat, AuthSettings],
    run_service: RunService,
    client: aiohttp.ClientSession,
) -> None:
    """Every call then is a 503 that says when to come again; without a restart the next login is good."""
    chat, settings = hanging
    settings = replace(settings, database=DatabaseSettings(url=Secret(own_server.url("postgres")), pool_size=5))
    await migrate(settings.database, MIGRATIONS)
    auth = await run_service(open_apps(settings))
    begun = asyncio.create_task(client.post(f"{auth.public}/login", json=ADA))
    await chat.asked.wait()
    own_server.stop()
    chat.gate.set()

    response = await begun
    assert (response.status, (await response.json())["error"]["code"]) == (503, "database_unavailable")
    assert int(response.headers["Retry-After"]) > 0
    assert (await log_in(client, auth.public))[0] == 503

    own_server.start()
    async with asyncio.timeout(SECONDS):
        while (answer := await log_in(client, auth.public))[0] != 200:
            assert answer[0] == 503
            await asyncio.sleep(0.05)
    headers = {"Authorization": f"Bearer {answer[1]['token']}"}
    own_server.stop()
    for method, path in (("POST", "/refresh"), ("DELETE", "/account")):
        async with client.request(method, auth.public + path, headers=headers) as response:
            assert response.status == 503
    own_server.start()
    connection = await asyncpg.connect(own_server.url("postgres"))
    assert await connection.fetchval("SELECT array_agg(name) FROM users") == ["Ada"]
    await connection.close()


WRONG = [
    "null",
    "true",
    "7",
    "-1.5e300",
    str(1 << 200),
    "[]",
    "{}",
    '[["x"]]',
    '""',
    '"\\u0000"',
    '"\\ud800"',
    '"' + "x" * 9000 + '"',
]


@pytest.mark.parametrize(("field", "value"), [*itertools.product(("authProvider", "token"), WRONG)])
async def test_every_field_of_a_login_may_be_wrong_in_every_way(
    auth: Running, client: aiohttp.ClientSession, field: str, value: str
) -> None:
    """The answer is a 4xx in the one shape."""
    good = {"authProvider": '"dev"', "token": '"Ada"'}
    body = "{" + ",".join(f'"{name}":{text}' for name, text in {**good, field: value}.items()) + "}"
    headers = {"Content-Type": "application/json"}
    async with client.post(f"{auth.public}/login", data=body, headers=headers) as response:
        answer = await response.json()

    assert response.status in {400, 422}
    assert set(answer["error"]) == {"code", "message"}


@pytest.mark.parametrize(
    "name", ["O'Brien; DROP TABLE users", "%s", "日本語", "👩🏽‍🚀", "a\tb", "\\", "n" * 255, " x "]
)
async def test_a_name_may_be_whatever_people_are_called(
    auth: Running, client: aiohttp.ClientSession, name: str
) -> None:
    """It is stored as it is, and the identity has letters, digits and underscores of ASCII alone."""
    async with client.post(f"{auth.public}/login", json={"authProvider": "dev", "token": name}) as response:
        answer = await response.json()

    assert (response.status, answer["name"]) == (200, name)
    assert answer["identity"].replace("-", "").isascii()
    assert len(answer["identity"]) <= 255


@pytest.mark.parametrize(("method", "path"), [("POST", "/refresh"), ("DELETE", "/account")])
@pytest.mark.parametrize(
    "header",
    [
        "Bearer",
        "Bearer  ",
        "Bearer null",
        "Bearer a b",
        "Bearer " + "." * 1000,
        "Bearer " + secrets.token_hex(3000),
        "Bearer \xe9",
        "Basic YTpi",
        "bearer e30.e30.e30",
        "Token x",
    ],
)
async def test_a_bearer_may_be_wrong_in_every_way(
    auth: Running, client: aiohttp.ClientSession, method: str, path: str, header: str
) -> None:
    """It is a 401 that asks for a good one."""
    async with client.request(method, auth.public + path, headers={"Authorization": header}) as response:
        answer = await response.json()

    assert (response.status, response.headers["WWW-Authenticate"]) == (401, "Bearer")
    assert set(answer["error"]) == {"code", "message"}


@pytest.mark.parametrize("body", [b"", b"\xff", b"{", b"[]", b'{"token": 7}', b"x" * 1000])
async def test_the_body_of_a_deletion_says_nothing(auth: Running, client: aiohttp.ClientSession, body: bytes) -> None:
    """The bearer alone says whose account it is."""
    _, user = await log_in(client, auth.public)
    headers = {"Authorization": f"Bearer {user['token']}"}
    async with client.delete(f"{auth.public}/account", data=body, headers=headers) as response:
        assert response.status == 200
