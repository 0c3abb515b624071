"""Let the disk under Postgres run full, and make room again."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from services.migrations import migrate
from tests.services.chat.phoenix import Phoenix
from tests.services.postgres import PostgresServer, give
from tests.services.storage.conftest import OpenHouse, execute, in_database
from tests.services.storage.house import SERVICES, House

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="NOT TESTED: only root can mount a small disk and let it run full"
)
BLOCK = 1024 * 1024
PIECE = 4096


@dataclass(frozen=True)
class Disk:
    """Be a small file system in memory."""

    folder: Path

    def fill(self, *, leave: int) -> None:
        """Take what is free but for so many bytes."""
        free = os.statvfs(self.folder).f_bavail * os.statvfs(self.folder).f_frsize
        with (self.folder / "ballast").open("ab") as ballast:
            for _ in range(max(0, free - leave) // PIECE):
                ballast.write(b"\0" * PIECE)

    def clear(self) -> None:
        """Give back what fill took."""
        (self.folder / "ballast").unlink()


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[Disk]:
    """Mount a disk of a size; skip, saying why, where even root may not."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False, capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"NOT TESTED: no disk can be mounted here: {done.stderr.strip()}")
    try:
        yield Disk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


@pytest.fixture
async def small(durable: PostgresServer) -> AsyncIterator[tuple[Disk, dict[str, str]]]:
    """Put the three databases on a small disk; the server's own files, the log of its writes too, are elsewhere."""
    admin, names = durable.url("postgres"), {service: f"small_{service}" for service in SERVICES}
    with mounted(durable.folder / "small", "160m") as disk:
        place = disk.folder / "tablespace"
        place.mkdir()
        give(place)
        await execute(admin, f"CREATE TABLESPACE small LOCATION '{place}'")
        for service, name in names.items():
            await execute(admin, f"CREATE DATABASE {name} TABLESPACE small STRATEGY wal_log")
            await migrate(in_database(durable.url(name)), SERVICES[service].migrations)
        yield disk, {service: durable.url(name) for service, name in names.items()}
        await execute(admin, *(f"DROP DATABASE {name} WITH (FORCE)" for name in names.values()))
        await execute(admin, "DROP TABLESPACE small")


@pytest.fixture
def cramped() -> Iterator[tuple[Disk, PostgresServer]]:
    """Put a whole server on a small disk."""
    server = PostgresServer({"synchronous_commit": "on", "max_wal_size": "48MB", "min_wal_size": "32MB"})
    try:
        with mounted(server.folder / "disk", "260m") as disk:
            server.data = disk.folder / "data"
            server.data.mkdir(mode=0o700)
            give(server.data)
            try:
                server.start()
                yield disk, server
            finally:
                server.end()
    finally:
        server.remove()


async def shout_until_refused(phoenix: Phoenix, topic: str, told: dict[int, str]) -> str:
    """Speak until it is refused; return the reason, and remember what the room was told."""
    for number in range(20_000):
        # Postgres would make much that is alike small.
        text = f"{number} {secrets.token_urlsafe(6500)}"
        await phoenix.push(topic, "shout", {"message": text, "id": f"{len(told)}"})
        frame = await phoenix.receive()
        if frame[3] == "phx_reply":
            return str(frame[4]["response"]["reason"])
        told[frame[4]["data"]["id"]] = frame[4]["data"]["body"]
    raise AssertionError("the disk never ran full")


async def stored(url: str) -> dict[int, str]:
    """Return what people said, as it is stored."""
    connection = await asyncpg.connect(url)
    rows = await connection.fetch("SELECT id, body FROM messages WHERE type = 'chat'")
    await connection.close()
    return {row["id"]: row["body"] for row in rows}


async def live(house: House) -> tuple[str, dict[str, object], str, Phoenix]:
    """Log in, make a room and enter it."""
    ada = await house.login("Ada")
    room = await house.make_room(ada["token"])
    return ada["token"], room, f"room:{room['topic']}", await house.enter(ada["token"], room["topic"])


async def test_a_full_disk_refuses_writes_and_lets_read(
    small: tuple[Disk, Mapping[str, str]], open_house: OpenHouse
) -> None:
    """The answer says what is wrong; when there is room again, all goes on without a restart."""
    disk, urls = small
    house = await open_house(urls)
    token, room, topic, phoenix = await live(house)
    told: dict[int, str] = {}
    disk.fill(leave=3 * BLOCK)

    reason = await shout_until_refused(phoenix, topic, told)

    assert "no room left" in reason
    assert told
    page = await house.call("GET", "chat", f"/channels/{room['id']}/events", token=token)
    assert page.status == 200
    assert page.body["data"]["messages"][0]["id"] == max(told)
    assert (await house.readiness("chat"))[0] == 200
    disk.fill(leave=0)
    # What has room in pages that exist is stored yet.
    for number in range(1000):
        answer = await house.call("POST", "chat", "/channels", {"channel_name": f"{number} {'y' * 190}"}, token=token)
        if answer.status != 200:
            break
    assert (answer.status, answer.code, answer.retry_after) == (503, "database_full", "30")

    disk.clear()
    await phoenix.push(topic, "shout", {"message": "room again", "id": "again"})
    frame = await phoenix.receive()
    assert (frame[3], frame[4]["data"]["body"]) == ("shout", "room again")
    found = await stored(urls["chat"])
    assert {key: found[key] for key in told} == told
    assert len(found) == len(told) + 1


async def test_a_server_whose_whole_disk_is_full_loses_nothing_that_was_told(
    cramped: tuple[Disk, PostgresServer], open_house: OpenHouse
) -> None:
    """Without room for the log of its writes it may end; whoever keeps it starts it again, as Kubernetes does."""
    disk, server = cramped
    urls = {}
    for service, described in SERVICES.items():
        await execute(server.url("postgres"), f"CREATE DATABASE {service}")
        urls[service] = server.url(service)
        await migrate(in_database(urls[service]), described.migrations)
    house = await open_house(urls)
    _, _, topic, phoenix = await live(house)
    told: dict[int, str] = {}
    disk.fill(leave=6 * BLOCK)

    reason = await shout_until_refused(phoenix, topic, told)

    assert reason.startswith("The database"), reason
    disk.clear()
    if not server.is_running():
        await asyncio.to_thread(server.start)
    await house.ready("chat")
    async with asyncio.timeout(60):
        while (await phoenix.ask(topic, "ping", {}))["status"] != "ok":  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    found = await stored(urls["chat"])
    assert {key: found.get(key) for key in told} == told
    await phoenix.push(topic, "shout", {"message": "room again"})
    assert (await phoenix.heard(topic))["body"] == "room again"
