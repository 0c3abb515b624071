from __future__ import annotations

import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.auth.__main__ import SERVICE as AUTH
from services.notifications.__main__ import SERVICE as NOTIFICATIONS
from services.serve import EXIT_FAILED, EXIT_MISUSED, Service, main
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer, encode_public_key
from tests.services.conftest import MakeDatabase
from tests.services.processes import Fleet

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 60


@pytest.fixture
def environ(tmp_path: Path, database: DatabaseSettings) -> dict[str, str]:
    """Mount everything that auth asks for."""
    private_key = secrets.token_urlsafe(48)
    signer = Signer(Secret(private_key))
    files = {
        "database_url": database.url.reveal(),
        "private_key": private_key,
        "credential": secrets.token_hex(32),
        f"{signer.kid}.pem": encode_public_key(signer.public_key),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
    return {
        "PATH": os.environ["PATH"],
        "STAMPCHAT_HOST": "127.0.0.1",
        "STAMPCHAT_PUBLIC_PORT": "0",
        "STAMPCHAT_INTERNAL_PORT": "0",
        "STAMPCHAT_DATABASE_URL_FILE": str(tmp_path / "database_url"),
        "STAMPCHAT_PRIVATE_KEY_FILE": str(tmp_path / "private_key"),
        "STAMPCHAT_INTERNAL_CREDENTIAL_FILE": str(tmp_path / "credential"),
        "STAMPCHAT_TOKEN_KEYS_DIR": str(tmp_path),
        "STAMPCHAT_CHAT_INTERNAL_URL": "http://127.0.0.1:9",
        "STAMPCHAT_CHAT_PUBLIC_URL": "http://127.0.0.1:9",
        "STAMPCHAT_NOTIFICATIONS_INTERNAL_URL": "http://127.0.0.1:9",
        "STAMPCHAT_LOGIN": "dev",
    }


@asynccontextmanager
async def process(environ: dict[str, str], *arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run `python -m services.auth` and make sure that it ends."""
    started = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "services.auth", *arguments, env=environ, cwd=ROOT, stderr=asyncio.subprocess.PIPE
    )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
        await started.communicate()


async def line_saying(started: asyncio.subprocess.Process, message: str) -> dict[str, Any]:
    """Read the log up to one message."""
    assert started.stderr is not None
    async with asyncio.timeout(SECONDS):
        async for raw in started.stderr:
            line: dict[str, Any] = json.loads(raw)
            if line["message"] == message:
                return line
    raise AssertionError(message)


async def test_it_migrates_serves_and_stops_at_sigterm(
    environ: dict[str, str], database: DatabaseSettings, client: aiohttp.ClientSession
) -> None:
    """Exit 0, soon after the signal, with the request in flight answered first."""
    async with process(environ, "migrate") as started:
        assert (await line_saying(started, "the database is up to date"))["applied"] == ["users", "deletions", "merges"]
        assert await started.wait() == 0
    async with process(environ) as started:
        ports = await line_saying(started, "serving")
        async with client.get(f"http://127.0.0.1:{ports['internal']}/readyz") as response:
            report = await response.json()
            # The other services are not there, and auth can do without them for a while.
            assert (report["status"], report["checks"]["database"]) == ("ready", "ok")
        # Chat is away, so this login is waiting for its retries when the signal comes.
        body = {"authProvider": "dev", "token": "Ada"}
        login = asyncio.create_task(client.post(f"http://127.0.0.1:{ports['public']}/login", json=body))
        await wait_for_row(database.url.reveal())
        started.send_signal(signal.SIGTERM)
        started.send_signal(signal.SIGTERM)
        signalled = time.monotonic()
        assert (await login).status == 503
        await line_saying(started, "stopped")
        assert await started.wait() == 0
        assert time.monotonic() - signalled < 60


@pytest.fixture
async def fleet(make_database: MakeDatabase, tmp_path: Path) -> AsyncIterator[Fleet]:
    """Give the notifications service a database; it needs none of the others."""
    made = Fleet(tmp_path, {"notifications": await make_database()})
    try:
        yield made
    finally:
        await made.kill()


@asynccontextmanager
async def held(database: DatabaseSettings, sql: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Hold a lock, so that whoever needs it waits."""
    connection = await asyncpg.connect(database.url.reveal())
    try:
        async with connection.transaction():
            await connection.execute(sql)
            yield connection
    finally:
        await connection.close()


async def wait_for_lock(holder: asyncpg.Connection[asyncpg.Record]) -> None:
    """Wait until somebody waits for what the holder has."""
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    async with asyncio.timeout(SECONDS):
        while not await holder.fetchval(waiting):  # noqa: ASYNC110  # the database has no event
            await asyncio.sleep(0.01)


async def status(client: aiohttp.ClientSession, url: str) -> int:
    """Return what a GET answers; 0 when nobody is there."""
    try:
        async with client.get(url) as response:
            return response.status
    except aiohttp.ClientConnectionError:
        return 0


async def test_what_is_in_flight_at_sigterm_is_finished_and_nothing_new_is_taken(
    fleet: Fleet, client: aiohttp.ClientSession
) -> None:
    """Readiness says so meanwhile, and a second signal changes nothing."""
    process = await fleet.start("notifications")
    bearer = {"Authorization": f"Bearer {mint(fleet.signer)}"}
    async with held(fleet.databases["notifications"], "LOCK TABLE tokens") as holder:
        body = {"token": "a device"}
        url = f"{process.public}/register"
        registering = asyncio.create_task(client.post(url, json=body, headers=bearer))
        await wait_for_lock(holder)
        process.running.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            while await status(client, f"{process.public}/test"):  # noqa: ASYNC110  # a port has no event
                await asyncio.sleep(0.01)
        assert await status(client, f"{process.internal}/readyz") == 503
        assert await status(client, f"{process.internal}/livez") == 200
        process.running.send_signal(signal.SIGTERM)
        assert not registering.done()
    assert (await registering).status == 200
    assert await process.running.wait() == 0


async def test_what_never_ends_is_cut_when_the_grace_is_over(fleet: Fleet, client: aiohttp.ClientSession) -> None:
    """The process does not wait to be killed."""
    fleet.extra["notifications"] = {"GRACE_SECONDS": "1"}
    process = await fleet.start("notifications")
    bearer = {"Authorization": f"Bearer {mint(fleet.signer)}"}
    async with held(fleet.databases["notifications"], "LOCK TABLE tokens") as holder:
        url = f"{process.public}/register"
        registering = asyncio.create_task(client.post(url, json={"token": "a device"}, headers=bearer))
        await wait_for_lock(holder)
        assert await process.stop() == 0
        with pytest.raises(aiohttp.ClientConnectionError):
            await registering


async def test_a_signal_during_the_start_ends_it(fleet: Fleet) -> None:
    """As the first process of a container it would else not be ended by SIGTERM at all."""
    (fleet.folder / "slow").mkdir()
    os.mkfifo(fleet.folder / "slow" / "url")
    fleet.extra["notifications"] = {"DATABASE_URL_FILE": str(fleet.folder / "slow" / "url")}
    process = fleet.started["notifications"] = await fleet.run("notifications")
    # Opened when the service reads its settings, and it then waits for what is never written.
    with await asyncio.to_thread((fleet.folder / "slow" / "url").open, "w"):
        assert await process.stop() == EXIT_FAILED
    assert process.log.read_text() == "services.notifications cannot start. It was told to stop (SIGTERM).\n"


async def test_a_signal_during_a_migration_leaves_nothing_behind(fleet: Fleet) -> None:
    """It is no success, so that the service does not start upon it; the next run does all of it."""
    database = fleet.databases["notifications"]
    async with held(database, "CREATE TABLE tokens (); LOCK TABLE tokens") as holder:
        process = fleet.started["notifications"] = await fleet.run("notifications", "migrate")
        await wait_for_lock(holder)
        assert await process.stop() == EXIT_FAILED
        assert "It was told to stop (SIGTERM)." in process.log.read_text()
        await holder.execute("DROP TABLE tokens")
    again = fleet.started["notifications"] = await fleet.run("notifications", "migrate")
    assert await again.running.wait() == 0
    async with held(database, "SELECT 1") as connection:
        assert await connection.fetchval("SELECT count(*) FROM tokens") == 0


def mint(signer: Signer) -> str:
    """Mint a token as auth does."""
    now = int(time.time())
    user = {"id": 7, "identity": "ada_1", "name": None, "email": None, "picture": None}
    return signer.mint(user, auth_time=now, expires=now + 60)


async def wait_for_row(url: str) -> None:
    """Wait until the login has made its row, and so is under way."""
    connection = await asyncpg.connect(url)
    async with asyncio.timeout(SECONDS):
        while not await connection.fetchval("SELECT count(*) FROM users"):  # noqa: ASYNC110  # the database has no event
            await asyncio.sleep(0.01)
    await connection.close()


async def test_a_port_in_use_is_said_in_one_sentence(environ: dict[str, str]) -> None:
    """No stack is shown for what is not a mistake of ours."""
    server = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    environ["STAMPCHAT_PUBLIC_PORT"] = str(server.sockets[0].getsockname()[1])
    async with process(environ) as started:
        _, said = await started.communicate()
    server.close()
    await server.wait_closed()

    assert started.returncode == EXIT_FAILED
    assert b"cannot be bound: " in said
    assert b"Traceback" not in said


@pytest.mark.parametrize("service", [AUTH, NOTIFICATIONS], ids=lambda service: service.name)
def test_without_settings_it_refuses_to_start_and_names_each(
    service: Service[Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """All at once, on stderr."""
    assert main(service, [], {}) == EXIT_FAILED

    said = capsys.readouterr().err
    for name in ("DATABASE_URL_FILE", "INTERNAL_CREDENTIAL_FILE", "TOKEN_KEYS_DIR"):
        assert f"STAMPCHAT_{name} is not set." in said


def test_an_unknown_command_is_misuse(capsys: pytest.CaptureFixture[str]) -> None:
    """The usage is one line."""
    assert main(AUTH, ["migrat"], {}) == EXIT_MISUSED
    assert capsys.readouterr().err == "usage: python -m services.auth [migrate]\n"
