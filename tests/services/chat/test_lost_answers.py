"""Lose the answer to a commit: what the database has stored is told once, though whoever said it was told otherwise."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.chat.app import open_apps
from services.chat.settings import ChatSettings
from services.settings import Secret
from tests.services.chat.phoenix import Phoenix
from tests.services.chat.test_app import own_postgres, own_settings
from tests.services.chat.test_durability import Opener, opener
from tests.services.conftest import RunService
from tests.services.postgres import PostgresServer

__all__ = ["opener", "own_postgres", "own_settings"]

SOCKET = ".s.PGSQL.5432"
SAID = "said and not heard of"
COUNT = "SELECT count(*) FROM messages WHERE body = $1"


@dataclass
class Way:
    """Be the way to a database, and end where an answer would come back.

    Attributes:
        server: of the database.
        folder: where it is entered.
        mark: what is in the statement whose answer is lost, with its connection; nothing while none is to be.
        lost: answers so far.
    """

    server: PostgresServer
    folder: Path
    mark: bytes = b""
    lost: int = 0

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Be one connection."""
        there_reader, there_writer = await asyncio.open_unix_connection(self.server.folder / SOCKET)
        answering = asyncio.create_task(_pump(there_reader, writer))
        try:
            while data := await reader.read(1 << 16):
                is_marked = bool(self.mark) and self.mark in data
                if is_marked:
                    answering.cancel()
                there_writer.write(data)
                if is_marked:
                    await self._until_stored()
                    self.mark, self.lost = b"", self.lost + 1
                    break
        finally:
            answering.cancel()
            for each in (there_writer, writer):
                each.transport.abort()

    async def _until_stored(self) -> None:
        connection = await asyncpg.connect(self.server.url("postgres"))
        async with asyncio.timeout(60):
            while not await connection.fetchval(COUNT, SAID):  # noqa: ASYNC110  # a row has no event
                await asyncio.sleep(0.01)
        await connection.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
        writer.close()


@pytest.fixture
async def way(own_postgres: PostgresServer) -> AsyncIterator[Way]:
    """Stand before the database."""
    with tempfile.TemporaryDirectory(prefix="stampchat-") as folder:
        way = Way(own_postgres, Path(folder))
        async with await asyncio.start_unix_server(way.carry, Path(folder) / SOCKET):
            yield way


async def told(socket: Phoenix, last: str) -> list[dict[str, Any]]:
    """Return what a socket is told, up to what says the last word."""
    messages: list[dict[str, Any]] = []
    while not messages or messages[-1]["body"] != last:
        frame = await socket.receive()
        if frame[3] == "shout":
            messages.append(frame[4]["data"])
    return messages


@pytest.mark.parametrize("says_it_again", [True, False], ids=["said again", "not said again"])
async def test_what_was_stored_is_told_though_its_answer_was_lost(
    own_settings: ChatSettings,
    run_service: RunService,
    opener: Opener,
    way: Way,
    *,
    says_it_again: bool,
) -> None:
    """Refuse it, since nobody knows; then tell it before anything newer, once, whether or not it is said again."""
    url = own_settings.database.url.reveal().replace(str(way.server.folder), str(way.folder))
    database = replace(own_settings.database, url=Secret(url))
    running = await run_service(open_apps(replace(own_settings, database=database)))
    speaker, listener = [await opener.open(running.public, "ada") for _ in range(2)]
    for socket in (speaker, listener):
        await socket.join("room:a")
    await speaker.shout("room:a", "before")

    way.mark = SAID.encode()
    refused = await speaker.ask("room:a", "shout", {"message": SAID, "id": "d1"})
    if says_it_again:
        await speaker.push("room:a", "shout", {"message": SAID, "id": "d1"})
    await speaker.push("room:a", "shout", {"message": "after", "id": "d2"})

    heard = [message["body"] for message in await told(listener, "after")]
    said = [message["body"] for message in await told(speaker, "after")]
    assert (refused["status"], "database" in refused["response"]["reason"], way.lost) == ("error", True, 1)
    assert heard == ["before", SAID, "after"]
    assert said == [SAID, "after"]
    connection = await asyncpg.connect(own_settings.database.url.reveal())
    assert await connection.fetchval(COUNT, SAID) == 1
    await connection.close()
