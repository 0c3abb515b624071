"""Kill the database, freeze it, fill it up with clients and forbid it to write, while people log in, join and speak.

Whatever happens, nobody is told that something is stored which is not, and nothing of ours needs a restart.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
import pytest

from services.migrations import migrate
from tests.services.chat.phoenix import Phoenix
from tests.services.postgres import PostgresServer
from tests.services.storage.conftest import OpenHouse, execute, in_database
from tests.services.storage.house import SERVICES

# What each service does in the middle of the kill, and the table that it then waits for.
TABLES = {"auth": "users", "chat": "members, messages", "notifications": "tokens"}
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = ANY($1)"
OTHERS = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE usename = 'app' AND datname = $1"


@pytest.fixture
async def urls(durable: PostgresServer) -> AsyncIterator[dict[str, str]]:
    """Make a migrated database for each service, owned by a role of no great power."""
    names = {service: f"faults_{service}" for service in SERVICES}
    admin = durable.url("postgres")
    await execute(admin, "CREATE ROLE app LOGIN", *(f"CREATE DATABASE {name} OWNER app" for name in names.values()))
    found = {service: durable.url(name, user="app") for service, name in names.items()}
    for service, url in found.items():
        await migrate(in_database(url), SERVICES[service].migrations)
    yield found
    await execute(admin, *(f"DROP DATABASE {name} WITH (FORCE)" for name in names.values()), "DROP ROLE app")


@asynccontextmanager
async def holding(durable: PostgresServer) -> AsyncIterator[None]:
    """Keep the tables that every call needs, so that whatever is asked waits inside the server."""
    held = []
    for service, tables in TABLES.items():
        connection = await asyncpg.connect(durable.url(f"faults_{service}"))
        await connection.execute(f"BEGIN; LOCK TABLE {tables} IN ACCESS EXCLUSIVE MODE")
        held.append(connection)
    try:
        yield
    finally:
        for connection in held:
            connection.terminate()


async def waiting(durable: PostgresServer, number: int) -> None:
    """Return when so many statements of services wait for a table."""
    watching = await asyncpg.connect(durable.url("postgres"))
    async with asyncio.timeout(60):
        while await watching.fetchval(WAITING, [f"faults_{service}" for service in TABLES]) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await watching.close()


async def say_error(phoenix: Phoenix, topic: str, event: str, payload: Any) -> str:
    """Send what cannot be done; return the reason."""
    answer = await phoenix.ask(topic, event, payload)
    assert answer["status"] == "error", answer
    return str(answer["response"]["reason"])


async def shout_until_heard(phoenix: Phoenix, topic: str, text: str) -> None:
    """Say the same again for as long as it is refused, as an app would."""
    async with asyncio.timeout(60):
        while True:
            await phoenix.push(topic, "shout", {"message": text, "id": text})
            frame = await phoenix.receive()
            if frame[3] == "shout" and frame[4]["data"]["body"] == text:
                return


async def test_a_kill_in_the_middle_of_everything_is_answered_and_healed(
    durable: PostgresServer, urls: Mapping[str, str], open_house: OpenHouse
) -> None:
    """A login, a registration, a shout and a join wait inside the server when it is killed with SIGKILL."""
    house = await open_house(urls)
    ada = await house.login("Ada")
    room = await house.make_room(ada["token"])
    topic = f"room:{room['topic']}"
    speaker, joiner = await house.enter(ada["token"], room["topic"]), await house.open(ada["token"])

    async with holding(durable):
        login = asyncio.create_task(house.call("POST", "auth", "/login", {"authProvider": "dev", "token": "Bob"}))
        register = asyncio.create_task(
            house.call("POST", "notifications", "/register", {"token": "device"}, token=ada["token"])
        )
        shout = asyncio.create_task(say_error(speaker, topic, "shout", {"message": "lost?", "id": "mine"}))
        _, ref = await joiner.start_join(topic)
        await waiting(durable, 4)
        durable.kill()
        answers = await asyncio.gather(login, register)
        assert [(answer.status, answer.code) for answer in answers] == [(503, "database_unavailable")] * 2
        assert all(answer.retry_after for answer in answers)
        assert "database does not answer" in await shout
        refused = await joiner.receive()
        assert (refused[1], refused[3], refused[4]["status"]) == (ref, "phx_reply", "error")
    for service in SERVICES:
        status, reason = await house.readiness(service)
        assert status == 503
        assert reason.startswith("failing: ")

    await asyncio.to_thread(durable.start)
    for service in SERVICES:
        await house.ready(service)

    assert (await house.login("Bob"))["name"] == "Bob"
    device = await house.call("POST", "notifications", "/register", {"token": "device"}, token=ada["token"])
    assert device.status == 200
    await joiner.join(topic)
    # The same socket, and the same message: it was not stored, or it is stored once.
    await speaker.push(topic, "shout", {"message": "lost?", "id": "mine"})
    assert (await speaker.heard(topic))["body"] == "lost?"
    answer = await house.call("GET", "chat", f"/channels/{room['id']}/events", token=ada["token"])
    bodies = [message["body"] for message in answer.body["data"]["messages"] if message["type"] == "chat"]
    assert bodies == ["lost?"]


async def speak(number: int, phoenix: Phoenix, topic: str, done: asyncio.Event) -> int:
    """Say one thing after another, each again until it is heard; return how many."""
    said = 0
    while not done.is_set():
        await phoenix.push(topic, "shout", {"message": f"{number} {said}", "id": f"{number}-{said}"})
        while True:
            frame = await phoenix.receive()
            if frame[3] == "phx_reply":
                # Refused: the same again, after a while.
                await asyncio.sleep(0.05)
                break
            if frame[4]["data"]["body"] == f"{number} {said}":
                said += 1
                break
    return said


async def listen(phoenix: Phoenix, told: set[int]) -> None:
    """Remember which messages the room is told."""
    while True:
        told.add((await phoenix.receive())[4]["data"]["id"])


async def reach(told: set[int], number: int) -> None:
    """Return when so many messages were told."""
    async with asyncio.timeout(60):
        while len(told) < number:  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_what_was_told_is_stored_whenever_the_server_is_killed(
    durable: PostgresServer, urls: Mapping[str, str], open_house: OpenHouse
) -> None:
    """Twenty people speak without a pause through two kills; what they send again is stored once."""
    house = await open_house(urls)
    ada = await house.login("Ada")
    room = await house.make_room(ada["token"])
    topic, told, done = f"room:{room['topic']}", set[int](), asyncio.Event()
    listening = asyncio.create_task(listen(await house.enter(ada["token"], room["topic"]), told))
    speakers = [await house.enter(ada["token"], room["topic"]) for _ in range(20)]
    speaking = [asyncio.create_task(speak(number, phoenix, topic, done)) for number, phoenix in enumerate(speakers)]

    for enough in (200, 400):
        await reach(told, enough)
        durable.kill()
        await asyncio.to_thread(durable.start)
        await house.ready("chat")
    await reach(told, len(told) + 100)
    done.set()
    said = await asyncio.gather(*speaking)
    listening.cancel()

    connection = await asyncpg.connect(urls["chat"])
    stored = await connection.fetch("SELECT id, client_id FROM messages WHERE type = 'chat'")
    await connection.close()
    assert told <= {row["id"] for row in stored}
    assert sorted(row["client_id"] for row in stored) == sorted(
        f"{number}-{turn}" for number, most in enumerate(said) for turn in range(most)
    )


async def test_a_server_that_hangs_fails_readiness_in_time_and_goes_on(
    durable: PostgresServer, urls: Mapping[str, str], open_house: OpenHouse
) -> None:
    """Its connections stay open and nothing comes over them; what was asked meanwhile is answered in the end."""
    house = await open_house(urls)
    ada = await house.login("Ada")
    assert (await house.readiness("chat"))[0] == 200

    with durable.frozen():
        asked = asyncio.create_task(house.call("GET", "chat", "/channels", token=ada["token"]))
        status, reason = await house.readiness("chat")
        assert (status, reason.startswith("failing")) == (503, True)

    assert (await asked).status == 200
    await house.ready("chat")


async def test_a_server_without_free_connections_is_told_from_a_broken_one(
    durable: PostgresServer, urls: Mapping[str, str], open_house: OpenHouse
) -> None:
    """Others have them all; when they go, all is well."""
    house = await open_house(urls)
    ada = await house.login("Ada")
    admin = await asyncpg.connect(durable.url("postgres"))
    await admin.execute("ALTER DATABASE faults_chat CONNECTION LIMIT 0")
    await admin.fetch(OTHERS, "faults_chat")

    answer = await house.call("GET", "chat", "/channels", token=ada["token"])
    assert (answer.status, answer.code) == (503, "database_unavailable")
    assert "too many connections" in (await house.readiness("chat"))[1]
    # The other services are not concerned.
    assert (await house.readiness("notifications"))[0] == 200

    await admin.execute("ALTER DATABASE faults_chat CONNECTION LIMIT -1")
    await admin.close()
    await house.ready("chat")
    assert (await house.call("GET", "chat", "/channels", token=ada["token"])).status == 200


async def test_a_statement_that_the_server_ends_stores_nothing(
    durable: PostgresServer, urls: Mapping[str, str], open_house: OpenHouse
) -> None:
    """A time-out of the server's, as a hosted one may have."""
    house = await open_house(urls)
    ada = await house.login("Ada")
    room = await house.make_room(ada["token"])
    topic = f"room:{room['topic']}"
    phoenix = await house.enter(ada["token"], room["topic"])
    admin = await asyncpg.connect(durable.url("postgres"))
    # Long enough for what waits for nobody, on a machine that does much else.
    await admin.execute("ALTER DATABASE faults_chat SET statement_timeout = '4s'")
    await admin.fetch(OTHERS, "faults_chat")
    await house.ready("chat")

    async with holding(durable):
        assert "database" in await say_error(phoenix, topic, "shout", {"message": "hello", "id": "1"})
        made = await house.call("POST", "chat", "/channels", {"channel_name": "Other"}, token=ada["token"])
        assert made.status == 503

    await admin.execute("ALTER DATABASE faults_chat RESET statement_timeout")
    await admin.close()
    await phoenix.push(topic, "shout", {"message": "hello", "id": "1"})
    assert (await phoenix.heard(topic))["body"] == "hello"
    rooms = await house.call("GET", "chat", "/channels", token=ada["token"])
    assert len(rooms.body["data"]) == 1


async def test_a_database_that_takes_no_writes_is_read_and_healed(
    durable: PostgresServer, urls: Mapping[str, str], open_house: OpenHouse
) -> None:
    """As after a failover: whoever met the refusal connects anew, and so finds what takes writes again."""
    house = await open_house(urls)
    ada = await house.login("Ada")
    room = await house.make_room(ada["token"])
    topic = f"room:{room['topic']}"
    phoenix = await house.enter(ada["token"], room["topic"])
    admin = await asyncpg.connect(durable.url("postgres"))
    for service in SERVICES:
        await admin.execute(f"ALTER DATABASE faults_{service} SET default_transaction_read_only = on")
        await admin.fetch(OTHERS, f"faults_{service}")

    assert "takes no writes" in await say_error(phoenix, topic, "shout", {"message": "hello"})
    writes = [
        await house.call("POST", "auth", "/login", {"authProvider": "dev", "token": "Bob"}),
        await house.call("POST", "chat", "/channels", {"channel_name": "Other"}, token=ada["token"]),
        await house.call("POST", "notifications", "/register", {"token": "device"}, token=ada["token"]),
    ]
    assert [(answer.status, answer.code) for answer in writes] == [(503, "database_read_only")] * 3
    assert (await house.call("GET", "chat", f"/channels/{room['id']}/events", token=ada["token"])).status == 200
    # One who is known needs no write.
    assert (await house.login("Ada"))["id"] == ada["id"]

    for service in SERVICES:
        await admin.execute(f"ALTER DATABASE faults_{service} RESET default_transaction_read_only")
    await admin.close()
    # What was read meanwhile came over connections that still believe it; a write that meets one ends them all.
    login = {"authProvider": "dev", "token": "Bob"}
    async with asyncio.timeout(60):
        while (await house.call("POST", "auth", "/login", login)).status != 200:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await shout_until_heard(phoenix, topic, "hello")
