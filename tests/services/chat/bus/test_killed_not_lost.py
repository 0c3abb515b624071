"""Hold three replicas to the promise: whatever dies, a client that comes back misses nothing, once each and in order.

Everybody talks while replicas are killed, rolled, and parted from each other and from their database. A client does
what the published app does: it joins with the last message that it knows, and says again under the same id what it was
not told back.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.chat.__main__ import SERVICE
from services.chat.bus.settings import BusSettings
from services.migrations import migrate
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer
from tests.services.chat.bus.conftest import CutBus
from tests.services.chat.conftest import mint
from tests.services.chat.phoenix import Phoenix
from tests.services.chat.test_app import environ, listening_ports, run
from tests.services.chat.test_durability import PEOPLE, keep, populate
from tests.services.postgres import PostgresServer

__all__ = ["environ"]

REPLICAS = 3
SAYS = 120
TOPIC = "room:r"
SECONDS = 110
# What one of them has said and not heard of yet.
WINDOW = 8
RATES = (
    "EVENTS_PER_SECOND",
    "EVENTS_BURST",
    "USER_EVENTS_PER_SECOND",
    "USER_EVENTS_BURST",
    "HANDSHAKES_PER_SECOND",
    "HANDSHAKES_BURST",
    "MAX_REPLAY_MESSAGES",
)


@dataclass
class Replica:
    """Be a replica that runs.

    Attributes:
        process: it.
        base: its public port's address.
        reading: empties its log, which would fill the pipe.
    """

    process: asyncio.subprocess.Process
    base: str
    reading: asyncio.Task[None]


@dataclass
class Gateway:
    """Send clients to replicas in turn, as a load balancer does; know which there are.

    Attributes:
        environ: of a replica.
        replicas: that are in service.
        errors: lines of their logs with a traceback.
    """

    environ: dict[str, str]
    replicas: list[Replica] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _turns: itertools.count[int] = field(default_factory=itertools.count)

    def choose(self) -> str | None:
        """Return the address of one."""
        return self.replicas[next(self._turns) % len(self.replicas)].base if self.replicas else None

    async def add(self) -> None:
        """Start one more, and take it into service."""
        process = await run(self.environ)
        public, _ = await listening_ports(process)
        self.replicas.append(Replica(process, f"http://127.0.0.1:{public}", asyncio.create_task(self._read(process))))

    async def remove(self, number: int) -> int:
        """End the oldest, in whatever way; return its exit code."""
        replica = self.replicas.pop(0)
        replica.process.send_signal(number)
        code = await asyncio.wait_for(replica.process.wait(), SECONDS)
        await replica.reading
        return code

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stderr is not None
        while line := await process.stderr.readline():
            if b"Traceback" in line:
                self.errors.append(line.decode())


@dataclass
class Client:
    """Be a person's phone.

    Attributes:
        name: whose.
        token: what it shows.
        gateway: whom it asks for a replica.
        session: opens sockets.
        told: ids of what it was told, in the order in which it was.
        unsaid: what it has still to say, or has to say again.
        reconnects: how often it had to come back.
    """

    name: str
    token: str
    gateway: Gateway
    session: aiohttp.ClientSession
    told: list[int] = field(default_factory=list)
    unsaid: dict[str, None] = field(default_factory=dict)
    pending: set[str] = field(default_factory=set)
    reconnects: int = 0

    async def live(self) -> None:
        """Connect, again and again, until it is cancelled."""
        while True:
            base = self.gateway.choose()
            if base is not None:
                with contextlib.suppress(aiohttp.ClientError, ConnectionError, AssertionError, TimeoutError):
                    await self._connect(base)
            self.reconnects += 1
            await asyncio.sleep(0.05)

    async def _connect(self, base: str) -> None:
        url = f"{base}/socket/websocket?token={self.token}&vsn=2.0.0"
        async with self.session.ws_connect(url) as socket:
            phoenix = Phoenix(socket)
            _, ref = await phoenix.start_join(TOPIC, {"last_message_id": self.told[-1] if self.told else 0})
            self.pending.clear()
            async for message in socket:
                assert message.type is aiohttp.WSMsgType.TEXT
                _, got, _, event, payload = json.loads(message.data)
                if event == "phx_reply" and got == ref:
                    assert payload["status"] == "ok", payload
                    assert payload["response"]["recovered"], "it was away for too long"
                    for one in payload["response"]["messages"]:
                        self._hear(one)
                elif event == "phx_reply" and payload["status"] == "error":
                    self.pending.clear()
                    await asyncio.sleep(0.05)
                elif event == "shout":
                    self._hear(payload["data"])
                elif event in {"phx_error", "phx_close"}:
                    return
                await self._say(phoenix)

    async def _say(self, phoenix: Phoenix) -> None:
        for text in [one for one in self.unsaid if one not in self.pending][: WINDOW - len(self.pending)]:
            self.pending.add(text)
            await phoenix.push(TOPIC, "shout", {"message": text, "id": text})

    def _hear(self, message: dict[str, Any]) -> None:
        self.told.append(message["id"])
        self.unsaid.pop(message["body"], None)
        self.pending.discard(message["body"])


@dataclass
class Ground:
    """Be what the replicas stand on, and what befalls it.

    Attributes:
        gateway: in front of them.
        clients: everybody.
        postgres: their database.
        cut: parts the replicas from their bus for a moment.
    """

    gateway: Gateway
    clients: list[Client]
    postgres: PostgresServer
    cut: Callable[[], Awaitable[None]]

    async def come_to(self, share: float) -> None:
        """Wait until so much of everything is said."""
        everything = len(self.clients) * SAYS
        while sum(len(client.unsaid) for client in self.clients) > everything * (1 - share):  # noqa: ASYNC110
            await asyncio.sleep(0.02)

    async def befall(self) -> None:
        """Let one thing after another happen, while everybody talks."""
        await self.come_to(0.1)
        assert await self.gateway.remove(signal.SIGKILL) == -signal.SIGKILL
        await self.gateway.add()
        await self.come_to(0.3)
        self.postgres.kill()
        await asyncio.to_thread(self.postgres.start)
        await self.come_to(0.45)
        for _ in range(3):
            await self.cut()
        await self.come_to(0.6)
        for _ in range(REPLICAS):
            await self.gateway.add()
            assert await self.gateway.remove(signal.SIGTERM) == 0
        await self.come_to(1.0)


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Run a Postgres of this test's own, which acknowledges what it has written and no earlier."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def database(server: PostgresServer) -> DatabaseSettings:
    """Say where it is."""
    return DatabaseSettings(url=Secret(server.url("postgres")), migrate_seconds=60)


@pytest.fixture
async def ground(
    *,
    environ: dict[str, str],
    server: PostgresServer,
    database: DatabaseSettings,
    signer: Signer,
    bus: BusSettings,
    cut_bus: CutBus,
    tmp_path: Path,
) -> AsyncIterator[Ground]:
    """Bring up three replicas and everybody's phones."""
    url = database.url.reveal()
    await keep(url)
    await migrate(database, Path(SERVICE.migrations))
    await populate(url)

    path = tmp_path / "bus"
    path.write_text(bus.url.reveal())
    own = {"STAMPCHAT_BUS": bus.kind} | ({"STAMPCHAT_BUS_URL_FILE": str(path)} if bus.url else {})
    gateway = Gateway({**environ, **own, **{f"STAMPCHAT_{name}": "10000" for name in RATES}})
    async with aiohttp.ClientSession() as session:
        clients = [
            Client(
                name := f"p{number}",
                mint(signer, name, None),
                gateway,
                session,
                unsaid={f"{name}.{count}": None for count in range(SAYS)},
            )
            for number in range(1, PEOPLE + 1)
        ]
        try:
            await asyncio.gather(*(gateway.add() for _ in range(REPLICAS)))
            yield Ground(gateway, clients, server, lambda: cut_bus(database))
        finally:
            while gateway.replicas:
                await gateway.remove(signal.SIGTERM)


async def test_nothing_is_lost_doubled_or_out_of_order(
    ground: Ground, database: DatabaseSettings, bus: BusSettings
) -> None:
    """Count what was sent, what is stored, and what each was told."""
    living = [asyncio.create_task(client.live()) for client in ground.clients]
    try:
        async with asyncio.timeout(SECONDS):
            await ground.befall()
            stored = await read_ids(database)
            while any(client.told[-1:] != stored[-1:] for client in ground.clients):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
    finally:
        for task in living:
            task.cancel()
        await asyncio.wait(living)

    assert len(stored) == PEOPLE * SAYS
    came_back = sum(client.reconnects for client in ground.clients)
    print(f"{bus.kind}: {len(stored)} sent and stored, {PEOPLE} x {len(stored)} told, {came_back} reconnects")  # noqa: T201
    for client in ground.clients:
        assert client.told == stored, client.name
    assert ground.gateway.errors == []


async def read_ids(database: DatabaseSettings) -> list[int]:
    """Return the ids of everything that is stored, in order."""
    connection = await asyncpg.connect(database.url.reveal())
    try:
        return [row["id"] for row in await connection.fetch("SELECT id FROM messages ORDER BY id")]
    finally:
        await connection.close()
