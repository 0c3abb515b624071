"""Give service tests a real Postgres, real keys, and services on real ports."""

from __future__ import annotations

import asyncio
import functools
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import asyncpg
import pytest

from services.migrations import migrate
from services.rate_limits import Buckets, Rate
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
MakeMigrated = Callable[[Path], Awaitable[DatabaseSettings]]
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


@dataclass
class Databases:
    """Make databases on one server, and drop them.

    Attributes:
        server: the server.
        admin: a connection to it.
        made: the names of what is dropped in the end.
    """

    server: PostgresServer
    admin: asyncpg.Connection[asyncpg.Record]
    made: list[str] = field(default_factory=list)

    async def make(self, *, template: str = "template1") -> DatabaseSettings:
        """Make one, as a copy of another to which nobody is connected."""
        name = f"test_{secrets.token_hex(6)}"
        # Copied as files: writing all of it to the log as well takes half as long again.
        await self.admin.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY file_copy")
        self.made.append(name)
        return DatabaseSettings(url=Secret(self.server.url(name)), pool_size=5, migrate_seconds=60)

    async def make_template(self, folder: Path) -> str:
        """Make one that is migrated and that nobody can change any more; it stays."""
        settings = await self.make()
        name = self.made.pop()
        await migrate(settings, folder)
        await self.admin.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        async with asyncio.timeout(60):
            # A process of the server ends a moment after its connection.
            while await self.admin.fetchval("SELECT count(*) FROM pg_stat_activity WHERE datname = $1", name):  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        return name

    async def drop(self) -> None:
        """Drop what was made."""
        for name in self.made:
            await self.admin.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
async def databases(postgres: PostgresServer) -> AsyncIterator[Databases]:
    """Make databases that this test alone uses."""
    admin = await asyncpg.connect(postgres.url("postgres"))
    made = Databases(postgres, admin)
    yield made
    await made.drop()
    await admin.close()


@pytest.fixture
def make_database(databases: Databases) -> MakeDatabase:
    """Make empty databases that this test alone uses."""
    return databases.make


@pytest.fixture(scope="session")
def templates(postgres: PostgresServer) -> dict[Path, str]:  # noqa: ARG001  # they lie on it
    """Remember what was migrated once, by the folder of its migrations."""
    return {}


@pytest.fixture
def make_migrated(databases: Databases, templates: dict[Path, str]) -> MakeMigrated:
    """Make databases that this test alone uses, with a service's tables in them: copied, which is faster than made."""

    async def make(folder: Path) -> DatabaseSettings:
        if folder not in templates:
            templates[folder] = await databases.make_template(folder)
        return await databases.make(template=templates[folder])

    return make


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
    monkeypatch.setattr("services.chat.rates.Rate", functools.partial(Rate, clock=stopped))


@pytest.fixture
async def client() -> AsyncIterator[aiohttp.ClientSession]:
    """Open an HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session
