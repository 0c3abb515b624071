"""Give storage tests databases of the original's, adopted ones, and services on them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import pytest

from services.migrations import migrate
from services.settings import DatabaseSettings, Secret
from tests.services.postgres import PostgresServer
from tests.services.storage import original
from tests.services.storage.house import SERVICES, House, house

T = TypeVar("T")
ORIGINALS = {
    "auth": original.AUTH + original.AUTH_ROWS,
    "notifications": original.NOTIFICATIONS + original.NOTIFICATIONS_ROWS,
    "chat": original.CHAT + original.CHAT_ROWS + original.CHAT_KEYS,
}
Fingerprints = dict[str, tuple[int, int]]
CopyDatabase = Callable[[str], Awaitable[str]]
OpenHouse = Callable[..., Awaitable[House]]


@dataclass(frozen=True)
class Adopted:
    """Be the original's three databases after our migrations.

    Attributes:
        names: of the databases, by service.
        before: number and checksum of the rows of each "service.table", as the original left them.
        after: the same, after the migrations.
    """

    names: Mapping[str, str]
    before: Fingerprints
    after: Fingerprints


def run_apart(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop of its own: a fixture that outlives a test has none to use."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def in_database(url: str, **options: Any) -> DatabaseSettings:
    """Make settings for a database."""
    return DatabaseSettings(url=Secret(url), **{"pool_size": 5, "migrate_seconds": 60, **options})


async def execute(url: str, *statements: str) -> None:
    """Run statements, each by itself."""
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def fingerprints(urls: Mapping[str, str]) -> Fingerprints:
    """Read the number and the checksum of the rows of the original's tables."""
    found = {}
    for service, url in urls.items():
        connection = await asyncpg.connect(url)
        for table, columns in original.KEPT[service].items():
            found[f"{service}.{table}"] = tuple(await connection.fetchrow(original.fingerprint(table, columns)) or ())
        await connection.close()
    return found


@pytest.fixture(scope="session")
def durable() -> Iterator[PostgresServer]:
    """Run a server that tests may kill: it tells nobody of a commit before that is written."""
    server = PostgresServer({"synchronous_commit": "on"})
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def adopted(postgres: PostgresServer) -> Adopted:
    """Make the original's databases with a million messages, and migrate them; tests write to copies."""
    names = {service: f"adopted_{service}" for service in ORIGINALS}
    urls = {service: postgres.url(name) for service, name in names.items()}

    async def make() -> Adopted:
        for service, name in names.items():
            await execute(postgres.url("postgres"), f"CREATE DATABASE {name}")
            await execute(urls[service], ORIGINALS[service])
        before = await fingerprints(urls)
        for service, url in urls.items():
            await migrate(in_database(url), SERVICES[service].migrations)
        after = await fingerprints(urls)
        for url in urls.values():
            await execute(url, "VACUUM ANALYZE")
        return Adopted(names, before, after)

    return run_apart(make())


@pytest.fixture
async def copy_database(postgres: PostgresServer) -> AsyncIterator[CopyDatabase]:
    """Copy databases to which nobody is connected."""
    copies: list[str] = []

    async def copy(name: str) -> str:
        copies.append(f"copy_{secrets.token_hex(6)}")
        await execute(postgres.url("postgres"), f"CREATE DATABASE {copies[-1]} TEMPLATE {name} STRATEGY file_copy")
        return postgres.url(copies[-1])

    yield copy
    await execute(postgres.url("postgres"), *(f"DROP DATABASE {name} WITH (FORCE)" for name in copies))


@pytest.fixture
async def open_house(tmp_path: Path) -> AsyncIterator[OpenHouse]:
    """Run the three services until the test ends."""
    async with AsyncExitStack() as stack:

        async def run(urls: Mapping[str, str], **options: str) -> House:
            folder = tmp_path / secrets.token_hex(4)
            folder.mkdir()
            return await stack.enter_async_context(house(folder, urls, **options))

        yield run
