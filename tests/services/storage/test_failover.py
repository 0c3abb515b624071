"""Lose the primary for good, and go on with its standby."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import asyncpg
import pytest

from services.migrations import migrate
from tests.services.postgres import PostgresServer
from tests.services.storage.conftest import OpenHouse, execute, in_database
from tests.services.storage.house import SERVICES


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """Run a primary, and a standby that holds each commit before anybody is told of it."""
    primary, standby = (PostgresServer({"synchronous_commit": "on"}) for _ in range(2))
    try:
        primary.start()
        standby.copy(primary)
        standby.start()
        yield primary, standby
    finally:
        primary.remove()
        standby.remove()


async def test_a_standby_is_read_and_says_that_it_takes_no_writes(
    pair: tuple[PostgresServer, PostgresServer], open_house: OpenHouse
) -> None:
    """As when the address points at the wrong one of two, or the switch is under way."""
    primary, standby = pair
    urls = {}
    for service, described in SERVICES.items():
        await execute(primary.url("postgres"), f"CREATE DATABASE {service}_read")
        await migrate(in_database(primary.url(f"{service}_read")), described.migrations)
        urls[service] = standby.url(f"{service}_read")
    await _caught_up(primary, standby)
    house = await open_house(urls)

    answer = await house.call("POST", "auth", "/login", {"authProvider": "dev", "token": "Ada"})

    assert (answer.status, answer.code) == (503, "database_read_only")
    assert (await house.readiness("chat"))[0] == 200


async def test_the_services_find_the_new_primary_by_themselves(
    pair: tuple[PostgresServer, PostgresServer], open_house: OpenHouse
) -> None:
    """The address names both hosts; until one of them takes writes, calls are answered 503. Nothing told is lost."""
    primary, standby = pair
    urls = {}
    for service, described in SERVICES.items():
        await execute(primary.url("postgres"), f"CREATE DATABASE {service}")
        hosts = f"host={standby.folder},{primary.folder}&target_session_attrs=read-write"
        urls[service] = f"postgresql://postgres@/{service}?{hosts}"
        await migrate(in_database(urls[service]), described.migrations)
    await execute(
        primary.url("postgres"), "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"
    )
    house = await open_house(urls)
    ada = await house.login("Ada")
    room = await house.make_room(ada["token"])
    topic = f"room:{room['topic']}"
    phoenix = await house.enter(ada["token"], room["topic"])
    told = [(await phoenix.shout(topic, f"{number}"))["id"] for number in range(20)]

    primary.kill()
    answer = await house.call("POST", "auth", "/login", {"authProvider": "dev", "token": "Bob"})
    assert (answer.status, answer.code) == (503, "database_unavailable")
    await execute(standby.url("postgres"), "SELECT pg_promote()", "ALTER SYSTEM RESET synchronous_standby_names")
    await execute(standby.url("postgres"), "SELECT pg_reload_conf()")
    for service in SERVICES:
        await house.ready(service)

    assert (await phoenix.shout(topic, "after"))["id"] > max(told)
    assert (await house.login("Bob"))["name"] == "Bob"
    connection = await asyncpg.connect(standby.url("chat"))
    stored = {row["id"] for row in await connection.fetch("SELECT id FROM messages")}
    await connection.close()
    assert set(told) <= stored


async def _caught_up(primary: PostgresServer, standby: PostgresServer) -> None:
    connections = [await asyncpg.connect(server.url("postgres")) for server in (primary, standby)]
    written = await connections[0].fetchval("SELECT pg_current_wal_lsn()::text")
    replayed = "SELECT pg_last_wal_replay_lsn() >= $1::text::pg_lsn"
    async with asyncio.timeout(60):
        while not await connections[1].fetchval(replayed, written):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    for connection in connections:
        await connection.close()
