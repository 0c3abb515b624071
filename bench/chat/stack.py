"""Run our side: Postgres, the notifications and chat services as processes of their own, and people in rooms."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import asyncpg

from bench.chat.nats import Nats
from bench.chat.plan import Room
from bench.chat.postgres import Postgres
from bench.chat.service import Service
from services.settings import Secret
from services.tokens import Signer, encode_public_key

ROOT = Path(__file__).resolve().parents[2]
# Everybody of a load shares one address and one minute, and a flood asks for more than a person does.
RAISED = {
    "EVENTS_PER_SECOND": "5000",
    "EVENTS_BURST": "10000",
    "USER_EVENTS_PER_SECOND": "5000",
    "USER_EVENTS_BURST": "10000",
    "WHISPERS_PER_SECOND": "5000",
    "WHISPERS_BURST": "10000",
    "HANDSHAKES_PER_SECOND": "10000",
    "HANDSHAKES_BURST": "20000",
    "MAX_CONNECTIONS": "15000",
}
# Those of them that speak of an address and of a process, not of a person.
KEPT_RAISED = ("HANDSHAKES_PER_SECOND", "HANDSHAKES_BURST", "MAX_CONNECTIONS")

PEOPLE = """
WITH people AS (
  INSERT INTO users (identity, friendly_name, inserted_at, updated_at)
  SELECT name, name, now(), now() FROM unnest($1::text[]) AS name RETURNING id, identity
), rooms AS (
  INSERT INTO channels (topic, friendly_name, inserted_at, updated_at)
  SELECT topic, topic, now(), now() FROM unnest($2::text[]) AS topic RETURNING id, topic
)
INSERT INTO members (channel_id, user_id, is_participant, inserted_at, updated_at)
SELECT rooms.id, people.id, true, now(), now()
FROM unnest($1::text[], $3::text[]) AS place (identity, topic) JOIN people USING (identity) JOIN rooms USING (topic)
"""


class Stack:
    """Hold our side.

    Args:
        folder: an empty one that everybody may enter.
        profile: where cProfile keeps its figures of the chat service, if it shall run.
        bus: between the replicas.
        replicas: of the chat service.
        is_limited: whether events and whispers keep the limits that the service has by default.
    """

    def __init__(
        self,
        folder: Path,
        profile: str | None = None,
        bus: str = "local",
        replicas: int = 1,
        *,
        is_limited: bool = False,
    ) -> None:
        self._profile = profile
        self._bus = bus
        self._is_limited = is_limited
        self._nats = Nats(folder, free_port()) if bus == "nats" else None
        self.postgres = Postgres(folder, free_port())
        self._signer = Signer(Secret(secrets.token_hex(32)))
        self._folder = folder
        keys = folder / "token-keys"
        keys.mkdir()
        (keys / f"{self._signer.kid}.pem").write_text(encode_public_key(self._signer.public_key))
        common = {
            "HOST": "127.0.0.1",
            "PUBLIC_PORT": "0",
            "INTERNAL_PORT": "0",
            "TRUSTED_HOPS": "0",
            # A line for each handshake would be most of a connect's cost, and the original's log is not compared.
            "LOG_LEVEL": "info",
            "INTERNAL_CREDENTIAL_FILE": self._keep("internal-credential", secrets.token_hex(32)),
            "TOKEN_KEYS_DIR": str(keys),
        }
        devices = common | {"PUSH": "off", "DATABASE_URL_FILE": self._keep_url("notifications")}
        self._notifications = Service("notifications", folder, _environ(devices))
        self._common = common
        self._chats = [self._notifications] * replicas

    def start(self) -> None:
        """Start everything."""
        self.postgres.start()
        for database in ("chat", "notifications"):
            self._create_database(database)
        self._notifications.migrate()
        self._notifications.start()
        settings = self._common | {
            "SECRET_KEY_BASE_FILE": self._keep("secret-key-base", secrets.token_hex(32)),
            "DATABASE_URL_FILE": self._keep_url("chat"),
            "NOTIFICATIONS_INTERNAL_URL": f"http://127.0.0.1:{self._notifications.internal_port}",
            "BUS": self._bus,
            **({name: RAISED[name] for name in KEPT_RAISED} if self._is_limited else RAISED),
        }
        if self._nats is not None:
            self._nats.start()
            settings["BUS_URL_FILE"] = self._keep("bus-url", self._nats.url)
        names = ["chat", *(f"chat-{number}" for number in range(2, len(self._chats) + 1))]
        self._chats = [Service("chat", self._folder, _environ(settings), self._profile, name) for name in names]
        self._chats[0].migrate()
        for chat in self._chats:
            chat.start()

    def stop(self) -> None:
        """Stop everything, the last first."""
        for chat in self._chats:
            chat.stop()
        self._notifications.stop()
        if self._nats is not None:
            self._nats.stop()
        self.postgres.stop()

    def restart(self) -> None:
        """Start the chat service anew, with fresh memory."""
        for chat in self._chats:
            chat.restart()

    def stop_chat(self) -> None:
        """Stop the chat service alone."""
        for chat in self._chats:
            chat.stop()

    def start_chat(self) -> tuple[tuple[str, ...], dict[str, int]]:
        """Start it again; return where it is now, and the processes."""
        for chat in self._chats:
            chat.start()
        return self.urls, self.servers

    @property
    def port(self) -> int:
        """Where the first replica's public port is."""
        return self._chats[0].port

    def count(self, metric: str) -> int:
        """Return what the first replica has counted so far, whatever the labels."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self._chats[0].internal_port}/metrics", timeout=60) as answer:
            lines = answer.read().decode().splitlines()
        return round(sum(float(line.split()[-1]) for line in lines if line.split("{")[0].split()[0] == metric))

    @property
    def urls(self) -> tuple[str, ...]:
        """Where clients connect."""
        return tuple(f"ws://127.0.0.1:{chat.port}/socket/websocket?token={{token}}&vsn=2.0.0" for chat in self._chats)

    @property
    def servers(self) -> dict[str, int]:
        """The processes, the one that holds the sockets first."""
        chats = {chat.log_name: chat.pid for chat in self._chats}
        nats = {} if self._nats is None else {"nats": self._nats.pid}
        return chats | nats | {"notifications": self._notifications.pid, "postgres": self.postgres.pid}

    async def make_rooms(self, rooms: int, size: int) -> tuple[Room, ...]:
        """Make rooms and people in them, each with a token that auth could have minted."""
        run = secrets.token_hex(4)
        topics = [f"bench-{run}-{room}" for room in range(rooms)]
        people = [[f"bench_{run}_{room}_{place}" for place in range(size)] for room in range(rooms)]
        everybody = [identity for room in people for identity in room]
        places = [topic for topic in topics for _ in range(size)]
        connection = await asyncpg.connect(self.postgres.url("chat"))
        try:
            # In one statement the foreign keys are checked at its end.
            await connection.execute(PEOPLE, everybody, topics, places)
            # As a server that has run for a while would know its tables.
            await connection.execute("ANALYZE users, channels, members")
        finally:
            await connection.close()
        return tuple(
            Room(f"room:{topic}", tuple(self.mint(identity) for identity in identities))
            for topic, identities in zip(topics, people, strict=True)
        )

    def mint(self, identity: str) -> str:
        """Return a token that auth could have given somebody."""
        moment = int(time.time())
        user = {"id": 1, "identity": identity, "name": identity, "email": None, "picture": None}
        return self._signer.mint(user, auth_time=moment, expires=moment + 3600)

    def _create_database(self, name: str) -> None:
        async def create() -> None:
            connection = await asyncpg.connect(self.postgres.url("postgres"))
            await connection.execute(f"CREATE DATABASE {name}")
            await connection.close()

        asyncio.run(create())

    def _keep(self, name: str, value: str) -> str:
        path = self._folder / name
        path.touch(mode=0o600)
        path.write_text(value)
        return str(path)

    def _keep_url(self, database: str) -> str:
        return self._keep(f"{database}-url", self.postgres.url(database))


@contextmanager
def running_stack(
    folder: Path, profile: str | None = None, bus: str = "local", replicas: int = 1, *, is_limited: bool = False
) -> Iterator[Stack]:
    """Run our side until the block ends."""
    stack = Stack(folder, profile, bus, replicas, is_limited=is_limited)
    try:
        stack.start()
        yield stack
    finally:
        stack.stop()


def free_port() -> int:
    """Return a port that nobody has."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _environ(settings: dict[str, str]) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STAMPCHAT_")}
    return kept | {f"STAMPCHAT_{name}": value for name, value in settings.items()}
