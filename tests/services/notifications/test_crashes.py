"""Kill real processes between a message and its push: none is lost, and none is doubled but where nobody could know.

Between FCM's answer and the row that says so there is a moment. Whoever is killed in it sends once more, which the
device shows in the place of the first, since both have the room's tag.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest

from services.migrations import migrate
from services.settings import DatabaseSettings, Secret
from services.tokens import Signer
from tests.services.chat.conftest import MIGRATIONS as CHAT_MIGRATIONS
from tests.services.chat.conftest import mint
from tests.services.chat.phoenix import Phoenix
from tests.services.conftest import MakeDatabase
from tests.services.notifications.conftest import Rows, until
from tests.services.notifications.fcm_stand_in import FcmStandIn

ROOT = Path(__file__).resolve().parents[3]
SECONDS = 60


@dataclass
class Process:
    """Be a running service.

    Attributes:
        running: the process.
        public: its public port's address.
        internal: its internal port's address.
    """

    running: asyncio.subprocess.Process
    public: str
    internal: str

    async def kill(self) -> None:
        """End it with no warning."""
        self.running.kill()
        await self.running.wait()


Start = Callable[[str, dict[str, str]], Awaitable[Process]]


@pytest.fixture
async def start(tmp_path: Path, credential: Secret, keys_folder: Path) -> AsyncIterator[Start]:
    """Start `python -m services.…` with a pod's environment, and end it with the test."""
    (tmp_path / "credential").write_text(credential.reveal())
    async with AsyncExitStack() as stack:

        async def run(service: str, environ: dict[str, str]) -> Process:
            started = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                f"services.{service}",
                cwd=ROOT,
                env={
                    "PATH": os.environ["PATH"],
                    "STAMPCHAT_HOST": "127.0.0.1",
                    "STAMPCHAT_PUBLIC_PORT": "0",
                    "STAMPCHAT_INTERNAL_PORT": "0",
                    "STAMPCHAT_TOKEN_KEYS_DIR": str(keys_folder),
                    "STAMPCHAT_INTERNAL_CREDENTIAL_FILE": str(tmp_path / "credential"),
                    **environ,
                },
                stderr=asyncio.subprocess.PIPE,
            )
            stack.push_async_callback(_end, started)
            ports = await _ports(started)
            return Process(started, f"http://127.0.0.1:{ports['public']}", f"http://127.0.0.1:{ports['internal']}")

        yield run


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.communicate()


async def _ports(process: asyncio.subprocess.Process) -> dict[str, Any]:
    assert process.stderr is not None
    async with asyncio.timeout(SECONDS):
        async for raw in process.stderr:
            if b'"serving"' in raw:
                line: dict[str, Any] = json.loads(raw)
                return line
    raise AssertionError("it ended")


@pytest.fixture
def notifications_environ(
    tmp_path: Path, database: DatabaseSettings, fcm: FcmStandIn, account_json: str
) -> dict[str, str]:
    """Mount what the notifications service asks for."""
    (tmp_path / "notifications_database_url").write_text(database.url.reveal())
    (tmp_path / "firebase").write_text(account_json)
    return {
        "STAMPCHAT_DATABASE_URL_FILE": str(tmp_path / "notifications_database_url"),
        "STAMPCHAT_PUSH": "fcm",
        "STAMPCHAT_FIREBASE_SERVICE_ACCOUNT_FILE": str(tmp_path / "firebase"),
        "STAMPCHAT_FCM_URL": fcm.url,
    }


@dataclass
class Room:
    """Be a room of Ada and Bob, in a database of the chat service.

    Attributes:
        environ: what a chat service is told.
        connection: to its database.
        topic: the room's.
        token: Ada's.
        client: an HTTP client.
    """

    environ: dict[str, str]
    connection: asyncpg.Connection[asyncpg.Record]
    topic: str
    token: str
    client: aiohttp.ClientSession

    async def shout(self, chat: Process, *bodies: str) -> None:
        """Let Ada say something, and wait until each is stored and told."""
        url = f"{chat.public}/socket/websocket?token={self.token}&vsn=2.0.0"
        async with self.client.ws_connect(url) as socket:
            phoenix = Phoenix(socket)
            await phoenix.join(f"room:{self.topic}")
            for body in bodies:
                await phoenix.push(f"room:{self.topic}", "shout", {"message": body})
                # Somebody else may be heard in between.
                while (await phoenix.heard(f"room:{self.topic}"))["body"] != body:
                    pass

    async def waiting(self) -> int:
        """Return how many rows the chat's outbox has."""
        return int(await self.connection.fetchval("SELECT count(*) FROM push_outbox"))


@pytest.fixture
async def room(
    tmp_path: Path, make_database: MakeDatabase, signer: Signer, client: aiohttp.ClientSession
) -> AsyncIterator[Room]:
    """Make a chat database with a room in it."""
    database = await make_database()
    await migrate(database, CHAT_MIGRATIONS)
    connection = await asyncpg.connect(database.url.reveal())
    await connection.execute(
        "INSERT INTO users (identity, friendly_name, inserted_at, updated_at)"
        " VALUES ('ada', 'Ada', now(), now()), ('bob', 'Bob', now(), now());"
        "INSERT INTO channels (topic, friendly_name, inserted_at, updated_at) VALUES ('one', 'One', now(), now());"
        "INSERT INTO members (channel_id, user_id, inserted_at, updated_at)"
        " VALUES (1, 1, now(), now()), (1, 2, now(), now());"
    )
    (tmp_path / "chat_database_url").write_text(database.url.reveal())
    (tmp_path / "secret_key_base").write_text("k" * 64)
    environ = {
        "STAMPCHAT_DATABASE_URL_FILE": str(tmp_path / "chat_database_url"),
        "STAMPCHAT_SECRET_KEY_BASE_FILE": str(tmp_path / "secret_key_base"),
    }
    yield Room(environ, connection, "one", mint(signer, "ada", "Ada"), client)
    await connection.close()


async def hand_over(process: Process, client: aiohttp.ClientSession, credential: Secret, count: int) -> None:
    """Hand messages over as chat does: none of them collapses."""
    notices = [
        {"key": f"message:{n}", "identities": ["bob"], "notification": {"title": "One", "body": str(n)}, "data": {}}
        for n in range(count)
    ]
    headers = {"Authorization": f"Bearer {credential.reveal()}"}
    url = f"{process.internal}/internal/notify/batch"
    async with client.post(url, json={"notifications": notices}, headers=headers) as response:
        assert response.status == 200


async def test_chat_killed_between_message_and_push(
    start: Start, room: Room, notifications_environ: dict[str, str], rows: Rows, fcm: FcmStandIn
) -> None:
    """What was told as stored is pushed by the next process, though notifications was away all the while."""
    await rows.register(bob="phone")
    chat = await start("chat", {**room.environ, "STAMPCHAT_NOTIFICATIONS_INTERNAL_URL": "http://127.0.0.1:9"})
    await room.shout(chat, "one", "two", "three")
    await chat.kill()
    assert await room.waiting() > 0

    notifications = await start("notifications", notifications_environ)
    await start("chat", {**room.environ, "STAMPCHAT_NOTIFICATIONS_INTERNAL_URL": notifications.internal})
    await room.connection.execute("UPDATE push_outbox SET due_at = now()")

    await until(lambda: has(fcm, "Ada: three"))
    await until(lambda: is_empty(room))
    stored = await rows.connection.fetch("SELECT key FROM deliveries ORDER BY id")
    assert len({row["key"] for row in stored}) == len(stored) == 3
    bodies = [body for _, body in fcm.texts]
    assert len(set(bodies)) == len(bodies)


async def test_chat_killed_before_it_knows_that_notifications_has_taken_over(
    start: Start, room: Room, notifications_environ: dict[str, str], rows: Rows, fcm: FcmStandIn
) -> None:
    """The next process hands the same over again, and no device is told twice."""
    await rows.register(bob="phone")
    notifications = await start("notifications", notifications_environ)
    environ = {**room.environ, "STAMPCHAT_NOTIFICATIONS_INTERNAL_URL": notifications.internal}
    chat = await start("chat", environ)
    # A trigger keeps the row from going, as a crash just before would.
    await room.connection.execute(
        "CREATE FUNCTION hold() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_sleep(60); RETURN NULL; END $$;"
        "CREATE TRIGGER hold BEFORE DELETE ON push_outbox FOR EACH ROW EXECUTE FUNCTION hold()"
    )
    await room.shout(chat, "hi")
    await until(lambda: has(fcm, "Ada: hi"))
    await chat.kill()
    await room.connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await room.connection.execute("DROP TRIGGER hold ON push_outbox; UPDATE push_outbox SET due_at = now()")
    assert await room.waiting() == 1

    await start("chat", environ)

    await until(lambda: is_empty(room))
    assert fcm.got == {"phone": 1}
    assert await rows.states() == {"phone": ["sent"]}


async def has(fcm: FcmStandIn, text: str) -> bool:
    """Say whether a text has arrived."""
    return text in [body for _, body in fcm.texts]


async def is_empty(room: Room) -> bool:
    """Say whether the chat's outbox is empty."""
    return await room.waiting() == 0


async def test_notifications_killed_after_it_has_taken_over(  # noqa: PLR0917  # fixtures
    start: Start,
    notifications_environ: dict[str, str],
    rows: Rows,
    fcm: FcmStandIn,
    client: aiohttp.ClientSession,
    credential: Secret,
) -> None:
    """What it had claimed and not sent is claimed again when the lease ends; the rest goes out at once."""
    await rows.register(bob="phone")
    await fcm.close()
    first = await start("notifications", notifications_environ)
    await hand_over(first, client, credential, 40)
    await until(lambda: rows.connection.fetchval("SELECT sum(attempts) > 0 FROM deliveries"))
    await first.kill()
    await fcm.open()
    assert fcm.got.total() == 0

    # Before the next process has anything in hand, which it would then claim twice.
    await rows.make_due()
    await start("notifications", notifications_environ)

    await until(lambda: is_all_sent(rows))
    assert fcm.got == {"phone": 40}


async def test_notifications_killed_while_fcm_has_it_in_hand(  # noqa: PLR0917  # fixtures
    start: Start,
    notifications_environ: dict[str, str],
    rows: Rows,
    fcm: FcmStandIn,
    client: aiohttp.ClientSession,
    credential: Secret,
) -> None:
    """FCM took them and nobody wrote it down: those are sent once more, and no others."""
    await rows.register(bob="phone")
    first = await start("notifications", {**notifications_environ, "STAMPCHAT_PUSH_WORKERS": "1"})
    fcm.may_answer.clear()
    await hand_over(first, client, credential, 60)
    await until(lambda: is_busy(fcm, 25))
    # One claim was on its way; FCM goes on with what it has, though nobody waits for the answer any more.
    await first.kill()
    fcm.may_answer.set()
    await until(lambda: is_busy(fcm, 0))
    doubled = fcm.got["phone"]

    # Before the next process has anything in hand, which it would then claim twice.
    await rows.make_due()
    await start("notifications", notifications_environ)

    await until(lambda: is_all_sent(rows))
    assert doubled <= 25
    bodies = [body for _, body in fcm.texts]
    assert set(bodies) == {str(n) for n in range(60)}
    assert len(bodies) == 60 + doubled
    assert max(bodies.count(body) for body in bodies) <= 2


async def is_busy(fcm: FcmStandIn, count: int) -> bool:
    """Say whether so many sends are under way."""
    return fcm.under_way == count


async def is_all_sent(rows: Rows) -> bool:
    """Say whether everything was sent."""
    return {state for states in (await rows.states()).values() for state in states} == {"sent"}


async def test_two_processes_share_the_work(  # noqa: PLR0917  # fixtures
    start: Start,
    notifications_environ: dict[str, str],
    rows: Rows,
    fcm: FcmStandIn,
    client: aiohttp.ClientSession,
    credential: Secret,
) -> None:
    """The same handed over to both is stored and sent once."""
    await rows.register(bob="phone")
    both = await asyncio.gather(*(start("notifications", notifications_environ) for _ in range(2)))
    await asyncio.gather(*(hand_over(process, client, credential, 200) for process in both for _ in range(2)))

    await until(lambda: is_all_sent(rows))
    assert fcm.got == {"phone": 200}


async def test_a_slow_fcm_delays_no_message(
    start: Start, room: Room, notifications_environ: dict[str, str], rows: Rows, fcm: FcmStandIn
) -> None:
    """Each is told while FCM has answered to nobody; then the newest is on the device."""
    await rows.register(bob="phone")
    fcm.may_answer.clear()
    notifications = await start("notifications", notifications_environ)
    chat = await start("chat", {**room.environ, "STAMPCHAT_NOTIFICATIONS_INTERNAL_URL": notifications.internal})

    await room.shout(chat, "first")
    await until(lambda: is_busy(fcm, 1))
    await room.shout(chat, *(str(n) for n in range(20)), "last")
    await until(lambda: is_empty(room))
    assert fcm.got.total() == 0

    fcm.may_answer.set()
    await until(lambda: has(fcm, "Ada: last"))


async def test_two_chat_processes_hand_each_message_over_once(
    start: Start, room: Room, notifications_environ: dict[str, str], rows: Rows, fcm: FcmStandIn
) -> None:
    """Their dispatchers share one outbox."""
    await rows.register(bob="phone")
    notifications = await start("notifications", notifications_environ)
    environ = {**room.environ, "STAMPCHAT_NOTIFICATIONS_INTERNAL_URL": notifications.internal}
    both = await asyncio.gather(start("chat", environ), start("chat", environ))

    said = [[f"{name} {number}" for number in range(30)] for name in "ab"]
    await asyncio.gather(*(room.shout(chat, *bodies) for chat, bodies in zip(both, said, strict=True)))

    await until(lambda: is_empty(room))
    keys = [row["key"] for row in await rows.connection.fetch("SELECT key FROM deliveries")]
    ids = [row["id"] for row in await room.connection.fetch("SELECT id FROM messages")]
    assert sorted(keys) == sorted(f"message:{number}" for number in ids)
    assert len(keys) == 60
    await until(lambda: has_newest(fcm, max(ids)))


async def has_newest(fcm: FcmStandIn, number: int) -> bool:
    """Say whether the newest message has arrived."""
    return str(number) in [message["data"]["message_id"] for message in fcm.messages]
