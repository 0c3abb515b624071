"""Run the service as a process, with its settings, and let its database go away and come back."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from services.chat.__main__ import SERVICE
from services.chat.app import open_apps
from services.chat.limits import Limits
from services.chat.settings import ChatSettings, load_settings
from services.migrations import migrate
from services.settings import DatabaseSettings, Secret, Source
from services.tokens import Signer
from tests.services.chat.conftest import mint
from tests.services.chat.phoenix import Phoenix
from tests.services.conftest import MakeDatabase, RunService
from tests.services.postgres import PostgresServer

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture
async def database(make_database: MakeDatabase) -> DatabaseSettings:
    """Make one empty database: what migrates it is tested."""
    return await make_database()


@pytest.fixture
def environ(tmp_path: Path, keys_folder: Path, credential: Secret, database: DatabaseSettings) -> dict[str, str]:
    """Make the environment that the deployment gives."""
    files = {
        "DATABASE_URL_FILE": database.url.reveal(),
        "INTERNAL_CREDENTIAL_FILE": credential.reveal(),
        "SECRET_KEY_BASE_FILE": "k" * 64,
    }
    environ = {
        "STAMPCHAT_TOKEN_KEYS_DIR": str(keys_folder),
        "STAMPCHAT_NOTIFICATIONS_INTERNAL_URL": "http://127.0.0.1:1",
        "STAMPCHAT_HOST": "127.0.0.1",
        "STAMPCHAT_PUBLIC_PORT": "0",
        "STAMPCHAT_INTERNAL_PORT": "0",
    }
    for name, content in files.items():
        path = tmp_path / name
        path.write_text(content + "\n")
        environ["STAMPCHAT_" + name] = str(path)
    return environ


def test_the_settings_have_usual_limits_and_no_usual_secret(environ: dict[str, str]) -> None:
    """Start with what the deployment gives; say everything that is missing at once."""
    source = Source(environ)
    settings = load_settings(source)
    source.finish()
    empty = Source({})
    load_settings(empty)

    assert settings.limits == Limits()
    assert settings.allowed_origins == frozenset()
    missing = {problem.split()[0].removeprefix("STAMPCHAT_") for problem in empty.problems}
    assert missing == {
        "DATABASE_URL_FILE",
        "INTERNAL_CREDENTIAL_FILE",
        "SECRET_KEY_BASE_FILE",
        "TOKEN_KEYS_DIR",
        "NOTIFICATIONS_INTERNAL_URL",
    }


@pytest.mark.parametrize("origins", ["chat.example.org", "https://chat.example.org/", "ftp://a", "https://a, *"])
def test_an_origin_that_is_none_is_refused(environ: dict[str, str], origins: str) -> None:
    """Name the setting and the word."""
    source = Source({**environ, "STAMPCHAT_ALLOWED_ORIGINS": origins})
    load_settings(source)

    assert len(source.problems) == 1
    assert "STAMPCHAT_ALLOWED_ORIGINS" in source.problems[0]


async def put_ada_into_room_a(database: DatabaseSettings) -> None:
    """Store both, as the first of their kind."""
    connection = await asyncpg.connect(database.url.reveal())
    await connection.execute(
        "INSERT INTO users (identity, inserted_at, updated_at) VALUES ('ada', now(), now());"
        "INSERT INTO channels (topic, inserted_at, updated_at) VALUES ('a', now(), now());"
        "INSERT INTO members (channel_id, user_id, inserted_at, updated_at) VALUES (1, 1, now(), now());"
    )
    await connection.close()


async def run(environ: dict[str, str], *arguments: str) -> asyncio.subprocess.Process:
    """Start the service's process."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "services.chat",
        *arguments,
        cwd=CHECKOUT,
        env={"PATH": os.environ["PATH"], **environ},
        stderr=asyncio.subprocess.PIPE,
    )


async def listening_ports(process: asyncio.subprocess.Process) -> tuple[int, int]:
    """Return the ports out of the log line that says where it serves."""
    assert process.stderr is not None
    async with asyncio.timeout(60):
        while line := await process.stderr.readline():
            if b'"serving"' in line:
                fields = json.loads(line)
                return int(fields["public"]), int(fields["internal"])
    raise AssertionError("it ended")


async def test_the_process_migrates_serves_and_ends_on_sigterm(
    environ: dict[str, str], signer: Signer, client: aiohttp.ClientSession, credential: Secret
) -> None:
    """Play the life of a pod: initContainer, requests, SIGTERM with an open socket, exit 0."""
    migrating = await run(environ, "migrate")
    assert await migrating.wait() == 0
    process = await run(environ)
    public, internal = await listening_ports(process)
    body = {"name": "Ada", "identity": "ada"}
    headers = {"Authorization": f"Bearer {credential.reveal()}"}
    async with client.post(f"http://127.0.0.1:{internal}/internal/users", json=body, headers=headers) as response:
        assert response.status == 200
    async with client.get(f"http://127.0.0.1:{internal}/readyz") as response:
        assert (await response.json())["checks"]["database"] == "ok"
    token = mint(signer, "ada", "Ada")
    base = f"http://127.0.0.1:{public}"
    bearer = {"Authorization": f"Bearer {token}"}
    async with client.post(f"{base}/channels", json={"channel_name": "Room"}, headers=bearer) as response:
        room = (await response.json())["data"]
    socket = Phoenix(await client.ws_connect(f"{base}/socket/websocket?token={token}&vsn=2.0.0"))
    topic = f"room:{room['topic']}"
    await socket.join(topic)
    assert (await socket.shout(topic, "hi"))["body"] == "hi"

    process.send_signal(signal.SIGTERM)

    assert await socket.closed() == 1012
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0
    assert b"Traceback" not in errors, errors.decode()
    assert token.encode() not in errors


def cores(process: asyncio.subprocess.Process) -> int:
    """Return on how many cores it may run."""
    return len(os.sched_getaffinity(process.pid))


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="NOT TESTED: this machine has one core")
@pytest.mark.parametrize("scheduling", ["tuned", "system"])
async def test_a_process_that_stores_much_stays_on_its_core(
    environ: dict[str, str], database: DatabaseSettings, signer: Signer, client: aiohttp.ClientSession, scheduling: str
) -> None:
    """And is let go when it is quiet; `system` leaves it where it is."""
    await migrate(database, SERVICE.migrations)
    await put_ada_into_room_a(database)
    rates = {f"STAMPCHAT_{name}": "100000" for name in ("EVENTS_PER_SECOND", "EVENTS_BURST")}
    process = await run({**environ, **rates, "STAMPCHAT_SCHEDULING": scheduling})
    public, _ = await listening_ports(process)
    usual = cores(process)
    url = f"http://127.0.0.1:{public}/socket/websocket?token={mint(signer, 'ada', 'Ada')}&vsn=2.0.0"
    async with client.ws_connect(url) as connected, asyncio.timeout(60):
        socket = Phoenix(connected)
        await socket.join("room:a")
        said = 0
        while cores(process) == usual and not (scheduling == "system" and said == 300):
            said += 1
            await socket.shout("room:a", f"message {said}")
        assert cores(process) == (1 if scheduling == "tuned" else usual)
        assert os.sched_getscheduler(process.pid) == (os.SCHED_BATCH if scheduling == "tuned" else os.SCHED_OTHER)
        while cores(process) < usual:
            assert process.returncode is None
            await asyncio.sleep(0.05)

    process.send_signal(signal.SIGTERM)
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0


async def test_a_process_without_its_secrets_does_not_start(environ: dict[str, str]) -> None:
    """Exit 1 and say which."""
    del environ["STAMPCHAT_SECRET_KEY_BASE_FILE"]
    process = await run(environ)

    _, errors = await process.communicate()

    assert process.returncode == 1
    assert b"STAMPCHAT_SECRET_KEY_BASE_FILE" in errors
    assert b"Traceback" not in errors


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """Run a server that this test may stop."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def own_settings(settings: ChatSettings, own_postgres: PostgresServer) -> ChatSettings:
    """Make settings for that server."""
    database = DatabaseSettings(url=Secret(own_postgres.url("postgres")), pool_size=2, migrate_seconds=5)
    await migrate(database, SERVICE.migrations)
    await put_ada_into_room_a(database)
    return replace(settings, database=database)


async def test_a_database_that_goes_away_and_comes_back(
    own_settings: ChatSettings,
    own_postgres: PostgresServer,
    run_service: RunService,
    signer: Signer,
    client: aiohttp.ClientSession,
) -> None:
    """Answer 503 and error replies meanwhile, keep the socket, and go on by itself."""
    running = await run_service(open_apps(own_settings))
    token = mint(signer, "ada", "Ada")
    headers = {"Authorization": f"Bearer {token}"}
    url = f"{running.public}/socket/websocket?token={token}&vsn=2.0.0"
    async with client.ws_connect(url) as connected:
        socket = Phoenix(connected)
        await socket.join("room:a")
        assert (await socket.shout("room:a", "before"))["body"] == "before"

        own_postgres.stop()

        async with client.get(f"{running.internal}/readyz") as response:
            assert response.status == 503
        async with client.get(f"{running.internal}/livez") as response:
            assert response.status == 200
        async with client.get(f"{running.public}/channels", headers=headers) as response:
            assert (response.status, response.headers["Retry-After"]) == (503, "2")
        refused = await socket.ask("room:a", "shout", {"message": "lost", "id": "x1"})
        assert refused["status"] == "error"
        assert "database" in refused["response"]["reason"]
        join_ref, ref = await socket.start_join("room:a")
        assert (await socket.receive())[3] == "phx_close"
        frame = await socket.receive()
        assert (frame[:2], frame[4]["status"]) == ([join_ref, ref], "error")

        own_postgres.start()

        assert await socket.join("room:a") == {}
        await socket.push("room:a", "shout", {"message": "after", "id": "x1"})
        assert (await socket.heard("room:a"))["body"] == "after"
