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

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 30


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
        assert (await line_saying(started, "the database is up to date"))["applied"] == ["users", "deletions"]
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
        signalled = time.monotonic()
        assert (await login).status == 503
        await line_saying(started, "stopped")
        assert await started.wait() == 0
        assert time.monotonic() - signalled < 15


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
