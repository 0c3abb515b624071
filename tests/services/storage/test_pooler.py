"""Stand a real PgBouncer in transaction mode between the services and their databases."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import pytest

from services.chat.bus import postgres as bus
from services.chat.bus.postgres import PostgresLink
from services.database import open_database
from services.errors import DatabaseUnavailable, Unavailable
from services.migrations import migrate
from services.settings import Secret
from tests.services.chat.bus.ear import running
from tests.services.conftest import MakeDatabase
from tests.services.postgres import PostgresServer
from tests.services.storage.conftest import OpenHouse, in_database
from tests.services.storage.debian import bring, bring_libraries
from tests.services.storage.house import SERVICES
from tests.services.storage.pgbouncer import PgBouncer


@pytest.fixture(scope="module")
def pooler(postgres: PostgresServer) -> Iterator[PgBouncer]:
    """Run PgBouncer with two server connections a database."""
    # Not under pytest's own folder, which other users may not enter.
    folder = postgres.folder / "pgbouncer"
    folder.mkdir()
    deb = bring("pgbouncer", folder)
    program = folder / "usr/sbin/pgbouncer"
    pooler = PgBouncer(program, bring_libraries(program, deb, folder), postgres, "transaction")
    yield pooler
    pooler.remove()


@pytest.fixture
async def pooled(pooler: PgBouncer, make_database: MakeDatabase) -> dict[str, str]:
    """Make an empty database for each service; return their addresses behind the pooler."""
    names = {service: urlsplit((await make_database()).url.reveal()).path.strip("/") for service in SERVICES}
    return {service: pooler.url(name) for service, name in names.items()}


async def test_the_pooler_breaks_kept_statements(pooled: dict[str, str]) -> None:
    """It gives the next transaction another session, so that a plain client with a cache fails: the test bites."""
    async with contextlib.AsyncExitStack() as clients:

        async def connected() -> asyncpg.Connection[asyncpg.Record]:
            client = await asyncpg.connect(pooled["chat"], statement_cache_size=100)
            clients.callback(client.terminate)
            return client

        asker, other, third = [await connected() for _ in range(3)]
        # Both sessions are taken, and the asker's statement is known to its own alone; then they change places.
        async with asker.transaction():
            await asker.fetchval("SELECT $1::int", 1)
            changing = other.transaction()
            await changing.start()
        async with third.transaction():
            await changing.rollback()
            with pytest.raises(asyncpg.InvalidSQLStatementNameError):
                await asker.fetchval("SELECT $1::int", 1)


async def test_a_pooler_is_noticed_whatever_the_settings_say(
    pooled: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    """Statements are then not kept; the log says so once."""
    async with open_database(in_database(pooled["chat"], statement_cache=100)) as database:

        async def ask(number: int) -> None:
            async with database.connection() as connection:
                assert await connection.fetchval("SELECT $1::int", number) == number
            async with database.transaction() as connection:
                assert await connection.fetchval("SELECT $1::text", str(number)) == str(number)

        await asyncio.gather(*map(ask, range(200)))

    assert caplog.text.count("a pooler stands in front of the database") == 1


async def test_a_pooler_that_was_not_noticed_is_when_it_loses_a_statement(
    pooled: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that passes the server's own greeting on; whoever meets the loss is told to come again."""

    async def looks_direct(_connection: object) -> bool:
        return False

    monkeypatch.setattr("services.database._is_pooled", looks_direct)
    async with open_database(in_database(pooled["chat"])) as database:

        async def ask(number: int) -> bool:
            try:
                async with database.connection() as connection:
                    return bool(await connection.fetchval("SELECT $1::int", number) == number)
            except DatabaseUnavailable:
                return False

        async with asyncio.timeout(60):
            while all(await asyncio.gather(*map(ask, range(50)))):
                pass
            while not all(await asyncio.gather(*map(ask, range(50)))):
                pass
        assert all(await asyncio.gather(*map(ask, range(200))))


async def test_a_server_without_pooler_keeps_statements(make_database: MakeDatabase) -> None:
    """What is noticed is a pooler and nothing else."""
    async with open_database(await make_database()) as database, database.connection() as connection:
        await connection.fetchval("SELECT $1::int", 1)
        assert await connection.fetchval("SELECT count(*) FROM pg_prepared_statements WHERE name <> ''") > 0


async def test_many_migrate_at_once_through_the_pooler(pooled: dict[str, str], tmp_path: Path) -> None:
    """The lock lives in a transaction; an index is built concurrently beside it."""
    (tmp_path / "001_first.sql").write_text("CREATE TABLE a (id int)")
    (tmp_path / "002_second.sql").write_text(
        "-- no transaction\nDROP INDEX CONCURRENTLY IF EXISTS i;\nCREATE INDEX CONCURRENTLY i ON a (id);\n"
    )

    applied = await asyncio.gather(*(migrate(in_database(pooled["chat"]), tmp_path) for _ in range(4)))

    assert sorted(name for names in applied for name in names) == ["first", "second"]


async def test_the_bus_says_that_a_pooler_swallows_it(
    pooled: dict[str, str], postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And is up with the database's own address, though commits go through the pooler."""
    monkeypatch.setattr(bus, "ECHO_SECONDS", 0.5)
    direct = Secret(postgres.url(urlsplit(pooled["chat"]).path.strip("/")))
    async with open_database(in_database(pooled["chat"])) as database:
        deaf = PostgresLink(Secret(pooled["chat"]), database, "test")
        async with running(deaf) as ear:
            async with asyncio.timeout(60):
                while not await _fault(deaf, "STAMPCHAT_BUS_URL_FILE"):  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            assert ear.events == []
        link = PostgresLink(direct, database, "test")
        async with running(link) as ear:
            await ear.was_opened()
            async with database.transaction() as connection:
                await link.announce(connection, [b"committed"])
            await ear.has(b"committed")
            await link.check()


async def _fault(link: PostgresLink, word: str) -> bool:
    try:
        await link.check()
    except Unavailable as error:
        return word in error.message
    return False


async def test_everything_works_behind_the_pooler(
    pooled: dict[str, str], open_house: OpenHouse, postgres: PostgresServer, tmp_path: Path
) -> None:
    """Logins, rooms, sockets, shouts, stamps, history, devices, many at once."""
    for service, url in pooled.items():
        await migrate(in_database(url), SERVICES[service].migrations)
    (tmp_path / "direct").write_text(postgres.url(urlsplit(pooled["chat"]).path.strip("/")))
    house = await open_house(pooled, BUS_URL_FILE=str(tmp_path / "direct"))
    await house.ready("chat")
    names = [f"Person {number}" for number in range(8)]
    users = await asyncio.gather(*(house.login(name) for name in names))
    rooms = await asyncio.gather(*(house.make_room(user["token"]) for user in users))

    async def live(number: int) -> None:
        user, room = users[number], rooms[number]
        topic = f"room:{room['topic']}"
        phoenix = await house.enter(user["token"], room["topic"])
        said = [await phoenix.shout(topic, f"{number} says {turn}") for turn in range(10)]
        stamp = {"word": "says", "xPos": 1, "yPos": 2, "strength": 0.5, "messageId": said[0]["id"]}
        await phoenix.push(topic, "stamp", stamp)
        assert (await phoenix.heard(topic, "stamp"))["message_id"] == said[0]["id"]
        answer = await house.call("GET", "chat", f"/channels/{room['id']}/events", token=user["token"])
        bodies = [message["body"] for message in answer.body["data"]["messages"] if message["type"] == "chat"]
        assert bodies == [message["body"] for message in reversed(said)]
        device = await house.call("POST", "notifications", "/register", {"token": f"d{number}"}, token=user["token"])
        assert device.status == 200

    await asyncio.gather(*map(live, range(len(users))))
    again = await asyncio.gather(*(house.login(name) for name in names))
    assert [user["id"] for user in again] == [user["id"] for user in users]
    await _handed_over(pooled["chat"])
    gone = await house.call("DELETE", "auth", "/account", token=users[0]["token"])
    assert gone.status in {200, 202}


async def _handed_over(url: str) -> None:
    """Return when every push was claimed from the outbox and handed over."""
    connection = await asyncpg.connect(url, statement_cache_size=0)
    async with asyncio.timeout(60):
        while await connection.fetchval("SELECT count(*) FROM push_outbox"):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await connection.close()
