"""Give service tests a real Postgres, real keys, and services on real ports."""

from __future__ import annotations

import functools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import aiohttp
import asyncpg
import pytest

from services.rate_limits import Buckets
from services.serve import Apps, listening
from services.settings import DatabaseSettings, Secret, ServerSettings
from services.tokens import Signer, encode_public_key
from tests.services.postgres import PostgresServer

SERVER = ServerSettings(host="127.0.0.1", public_port=0, internal_port=0, grace_seconds=2)


@dataclass(frozen=True)
class Running:
    """Say where a service under test listens."""

    public: str
    internal: str


MakeDatabase = Callable[[], Awaitable[DatabaseSettings]]
RunService = Callable[[AbstractAsyncContextManager[Apps]], Awaitable[Running]]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """Run one server for the whole session."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
async def make_database(postgres: PostgresServer) -> AsyncIterator[MakeDatabase]:
    """Make empty databases that this test alone uses."""
    names: list[str] = []
    admin = await asyncpg.connect(postgres.url("postgres"))

    async def make() -> DatabaseSettings:
        name = f"test_{secrets.token_hex(6)}"
        await admin.execute(f"CREATE DATABASE {name}")
        names.append(name)
        return DatabaseSettings(url=Secret(postgres.url(name)), pool_size=5, migrate_seconds=60)

    yield make
    for name in names:
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
    await admin.close()


@pytest.fixture
async def database(make_database: MakeDatabase) -> DatabaseSettings:
    """Make one empty database."""
    return await make_database()


@pytest.fixture
def credential() -> Secret:
    """Make the credential that the services of this test share."""
    return Secret(secrets.token_hex(32))


@pytest.fixture
def signer() -> Signer:
    """Make the key with which auth would sign."""
    return Signer(Secret(secrets.token_hex(32)))


@pytest.fixture
def keys_folder(tmp_path: Path, signer: Signer) -> Path:
    """Write the signer's public key where the services look for it."""
    folder = tmp_path / "token-keys"
    folder.mkdir()
    (folder / f"{signer.kid}.pem").write_text(encode_public_key(signer.public_key))
    return folder


@pytest.fixture
async def run_service() -> AsyncIterator[RunService]:
    """Serve opened services on free ports of this machine until the test ends."""
    async with AsyncExitStack() as stack:

        async def run(opened: AbstractAsyncContextManager[Apps]) -> Running:
            apps = await stack.enter_async_context(opened)
            ports = await stack.enter_async_context(listening(apps, SERVER))
            return Running(public=f"http://127.0.0.1:{ports.public}", internal=f"http://127.0.0.1:{ports.internal}")

        yield run


@pytest.fixture
def still_rates(monkeypatch: pytest.MonkeyPatch) -> None:
    """Stop the clock of every rate: however slow the machine is, nothing refills while a test spends what there is."""

    def stopped() -> float:
        return 1000.0

    for module in ("services.rate_limits", "services.chat.rates"):
        monkeypatch.setattr(f"{module}.Buckets", functools.partial(Buckets, clock=stopped))
    monkeypatch.setattr("services.chat.limits.time", SimpleNamespace(monotonic=stopped))


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """Open an HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session
