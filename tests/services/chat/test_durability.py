"""Hold the chat to its promise: what a client was told is in the table, whatever dies in the middle."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.chat.app import open_apps
from services.chat.limits import Limits
from services.chat.settings import ChatSettings
from services.settings import DatabaseSettings
from services.tokens import Signer
from tests.services.chat import raw
from tests.services.chat.conftest import mint
from tests.services.chat.phoenix import Phoenix
from tests.services.chat.test_app import environ, listening_ports, own_postgres, own_settings, run
from tests.services.conftest import RunService
from tests.services.postgres import PostgresServer

__all__ = ["environ", "own_postgres", "own_settings"]

MANY = Limits(
    events_per_second=100_000, events_burst=100_000, user_events_per_second=100_000, user_events_burst=100_000
)
PEOPLE = 12
# What one of them has said and not heard of yet; more would measure how fast this process reads.
WINDOW = 20


class Talker:
    """Say numbered things as fast as they are told back, and note what comes.

    Args:
        socket: joined to the room.
        name: of the talker.
    """

    def __init__(self, socket: Phoenix, name: str) -> None:
        self.socket = socket
        self.name = name
        self.told: list[dict[str, Any]] = []
        self.refused: list[str] = []
        self.has_heard = asyncio.Event()
        self.may_say = asyncio.Semaphore(WINDOW)
        self.is_over = False

    async def talk(self, topic: str, most: int) -> None:
        """Say so much, with a few unanswered at a time, until the connection ends."""
        for number in range(most):
            await self.may_say.acquire()
            if self.is_over:
                return
            try:
                await self.socket.push(topic, "shout", {"message": f"{number}", "id": f"{self.name}.{number}"})
            except (ConnectionError, aiohttp.ClientError):
                return

    async def listen(self) -> int | None:
        """Note what is told until the connection ends; return the close code."""
        while (frame := await asyncio.wait_for(self.socket.socket.receive(), 60)).type is aiohttp.WSMsgType.TEXT:
            _, _, _, event, payload = json.loads(frame.data)
            if event == "shout":
                self.told.append(payload["data"])
                self.has_heard.set()
                if payload["data"].get("client_id", "").startswith(f"{self.name}."):
                    self.may_say.release()
            elif event == "phx_reply" and payload["status"] == "error":
                self.refused.append(payload["response"]["reason"])
                self.may_say.release()
        self.is_over = True
        self.may_say.release()
        return self.socket.socket.close_code


@dataclass
class Opener:
    """Open sockets as people, and close them when the test ends."""

    client: aiohttp.ClientSession
    signer: Signer
    stack: AsyncExitStack

    async def open(self, base: str, identity: str) -> Phoenix:
        """Open one."""
        url = f"{base}/socket/websocket?token={mint(self.signer, identity, None)}&vsn=2.0.0"
        return Phoenix(await self.stack.enter_async_context(self.client.ws_connect(url)))

    async def talkers(self, base: str) -> list[Talker]:
        """Let everybody in."""
        talkers = []
        for number in range(1, PEOPLE + 1):
            socket = await self.open(base, f"p{number}")
            await socket.join("room:r")
            talkers.append(Talker(socket, f"p{number}"))
        return talkers


@pytest.fixture
async def opener(client: aiohttp.ClientSession, signer: Signer) -> AsyncIterator[Opener]:
    """Open sockets for a test."""
    async with AsyncExitStack() as stack:
        yield Opener(client, signer, stack)
    while raw.opened:
        raw.opened.pop().abort()
    await asyncio.sleep(0)


async def populate(url: str) -> None:
    """Make a room of people."""
    connection = await asyncpg.connect(url)
    await connection.execute(
        "INSERT INTO users (identity, inserted_at, updated_at) SELECT 'p' || n, now(), now()"
        " FROM generate_series(1, $1::int) n",
        PEOPLE,
    )
    await connection.execute(
        "INSERT INTO channels (topic, inserted_at, updated_at) VALUES ('r', now(), now());"
        "INSERT INTO members (channel_id, user_id, inserted_at, updated_at)"
        " SELECT (SELECT max(id) FROM channels), id, now(), now() FROM users WHERE identity LIKE 'p%'"
    )
    await connection.close()


async def keep(url: str) -> None:
    """Let a server of the tests acknowledge what it has written and no earlier, as those of deployments do."""
    connection = await asyncpg.connect(url)
    await connection.execute("ALTER DATABASE postgres SET synchronous_commit = on")
    await connection.execute("CHECKPOINT")
    await connection.close()


async def stored(url: str) -> dict[int, tuple[str, str]]:
    """Return what the table has, by id."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT id, body, client_id FROM messages WHERE client_id IS NOT NULL")
    await connection.close()
    return {row["id"]: (row["body"], row["client_id"]) for row in rows}


async def readiness(client: aiohttp.ClientSession, port: int) -> list[int]:
    """Ask as a kubelet does, until nobody answers; return the statuses."""
    said = []
    while True:
        try:
            async with client.get(f"http://127.0.0.1:{port}/readyz") as response:
                said.append(response.status)
        except aiohttp.ClientError:
            return said
        await asyncio.sleep(0.02)


async def test_a_process_that_is_told_to_stop_loses_nothing(
    environ: dict[str, str], database: DatabaseSettings, client: aiohttp.ClientSession, opener: Opener
) -> None:
    """Send SIGTERM in the middle of a storm: told is stored, the clients hear 1012, and the process exits 0."""
    assert await (await run(environ, "migrate")).wait() == 0
    await populate(database.url.reveal())
    rates = ("EVENTS_PER_SECOND", "EVENTS_BURST", "USER_EVENTS_PER_SECOND", "USER_EVENTS_BURST")
    process = await run({**environ, **{f"STAMPCHAT_{name}": "100000" for name in rates}})
    public, internal = await listening_ports(process)
    base = f"http://127.0.0.1:{public}"
    talkers = await opener.talkers(base)
    # It answers no close frame, so the process has to wait for it a moment, in which it can be looked at.
    silent = await raw.connect(base, mint(opener.signer, "p1", None))
    listening = [asyncio.create_task(talker.listen()) for talker in talkers]
    talking = [asyncio.create_task(talker.talk("room:r", 100_000)) for talker in talkers]
    await asyncio.gather(*(talker.has_heard.wait() for talker in talkers))

    ready = asyncio.create_task(readiness(client, internal))
    process.send_signal(signal.SIGTERM)

    codes = await asyncio.gather(*listening)
    await asyncio.gather(*talking)
    with pytest.raises(aiohttp.ClientError):
        await opener.open(base, "p1")
    assert await silent.closed() == 1012
    said = await ready
    assert said == sorted(said)
    assert 503 in said
    _, errors = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 0, errors.decode()[-2000:]
    assert b"Traceback" not in errors, errors.decode()[-2000:]
    assert set(codes) == {1012}
    check(await stored(database.url.reveal()), talkers)


async def test_a_database_that_crashes_loses_nothing_that_was_told(
    own_settings: ChatSettings, run_service: RunService, opener: Opener, own_postgres: PostgresServer
) -> None:
    """Kill Postgres in the middle of a storm: each shout is told and stored, or refused, and the room goes on."""
    url = own_settings.database.url.reveal()
    await keep(url)
    await populate(url)
    running = await run_service(open_apps(replace(own_settings, limits=MANY)))
    talkers = await opener.talkers(running.public)
    listening = [asyncio.create_task(talker.listen()) for talker in talkers]
    talking = [asyncio.create_task(talker.talk("room:r", 150)) for talker in talkers]
    await asyncio.gather(*(talker.has_heard.wait() for talker in talkers))

    own_postgres.kill()
    await asyncio.gather(*talking)
    own_postgres.start()

    async with asyncio.timeout(60):
        while not any(message["body"] == "over" for message in talkers[0].told):
            await talkers[0].socket.push("room:r", "shout", {"message": "over", "id": "over"})
            await asyncio.sleep(0.2)
    for talker in talkers:
        await talker.socket.socket.close()
    await asyncio.gather(*listening)
    check(await stored(url), talkers)
    reasons = {reason for talker in talkers for reason in talker.refused}
    assert all("database" in reason or reason == "too many events are waiting" for reason in reasons), reasons


def check(rows: dict[int, tuple[str, str]], talkers: list[Talker]) -> None:
    """Find everything that was told in the table, told once and in order, and in one order to all."""
    longest = max((talker.told for talker in talkers), key=len)
    assert longest
    for talker in talkers:
        ids = [message["id"] for message in talker.told]
        assert ids == sorted(set(ids))
        for message in talker.told:
            assert rows[message["id"]] == (message["body"], message["client_id"])
    clients = [client_id for _, client_id in rows.values()]
    assert len(clients) == len(set(clients))


async def test_a_database_that_hangs_in_the_middle_of_a_join(
    own_settings: ChatSettings, run_service: RunService, opener: Opener, own_postgres: PostgresServer
) -> None:
    """Answer heartbeats meanwhile; refuse the join when the connection breaks, and let the next one in."""
    await keep(own_settings.database.url.reveal())
    running = await run_service(open_apps(own_settings))
    socket = await opener.open(running.public, "ada")
    await socket.join("room:a")
    await socket.shout("room:a", "before")

    with own_postgres.frozen():
        join_ref, ref = await socket.start_join("room:a")
        assert (await socket.receive())[3] == "phx_close"
        await socket.push("room:a", "shout", {"message": "behind", "id": "b"})
        await socket.silent("room:a")
        own_postgres.kill()
    frame = await socket.receive()
    behind = await socket.receive()

    assert (frame[:2], frame[4]["status"]) == ([join_ref, ref], "error")
    assert "database" in frame[4]["response"]["reason"]
    # It was for a channel that is none.
    assert behind[4] == {"status": "error", "response": {"reason": "unmatched topic"}}
    own_postgres.start()
    assert await socket.join("room:a") == {}
    assert (await socket.shout("room:a", "after"))["body"] == "after"
