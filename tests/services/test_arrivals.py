"""Many come at once, and few turns of the loop are spent on their coming."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections import Counter
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import web

from services.arrivals import LISTENERS, BusySite
from services.serve import listening
from tests.services.conftest import SERVER
from tests.services.test_connections import SMALL, open_sample

SECONDS = 60
CROWD = 5 * LISTENERS


async def _answer(_: web.BaseRequest) -> web.StreamResponse:
    raise web.HTTPNotFound  # Nobody asks.


class Counting(web.Server):
    """Count who comes, by the turn of the loop."""

    def __init__(self) -> None:
        super().__init__(_answer, loop=asyncio.get_running_loop())
        self.came: Counter[int] = Counter()
        self.all_are_here = asyncio.Event()
        self._turn = 0
        self._next_turn()

    def connection_made(self, handler: Any, transport: asyncio.Transport) -> None:
        """Note one."""
        super().connection_made(handler, transport)
        self.came[self._turn] += 1
        if self.came.total() == CROWD:
            self.all_are_here.set()

    def rest(self) -> None:
        """Count turns no more: a loop that has something to do is not closed."""
        self._counting.cancel()

    def _next_turn(self) -> None:
        self._turn += 1
        self._counting = asyncio.get_running_loop().call_soon(self._next_turn)


async def meet_crowd() -> tuple[Counter[int], tuple[str, int]]:
    """Let many come, while the loop stands still, and then take them; return how many came in each turn, and where."""
    server = Counting()
    runner = web.ServerRunner(server)
    await runner.setup()
    try:
        await BusySite(runner, "127.0.0.1", 0).start()
        place: tuple[str, int] = runner.addresses[0]
        with contextlib.ExitStack() as stack:
            for _ in range(CROWD):
                stack.enter_context(socket.create_connection(place, timeout=SECONDS))
            await asyncio.wait_for(server.all_are_here.wait(), SECONDS)
    finally:
        server.rest()
        await runner.cleanup()
    return server.came, place


async def test_neither_the_port_nor_a_copy_of_it_is_left() -> None:
    """Whoever comes later is told so at once, and not kept waiting."""
    came, place = await meet_crowd()

    assert came.total() == CROWD
    with socket.socket() as late:
        assert late.connect_ex(place) == errno.ECONNREFUSED


def test_several_are_taken_in_a_turn_of_the_loop() -> None:
    """The loop of the services would take one."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        came, _ = runner.run(meet_crowd())

    assert set(came.values()) == {LISTENERS}


def count_open_files() -> Counter[str]:
    """Return how many descriptors this process has of each open file."""
    opened: Counter[str] = Counter()
    for descriptor in Path("/proc/self/fd").iterdir():
        # The one that the folder was read by is gone.
        with contextlib.suppress(FileNotFoundError):
            opened[str(descriptor.readlink())] += 1
    return opened


async def test_a_service_listens_so_on_its_public_port() -> None:
    """Machines, on the internal one, come one by one."""
    async with open_sample(SMALL) as apps, listening(apps, SERVER):
        opened = count_open_files()
    assert [name.partition(":")[0] for name, count in opened.items() if count == LISTENERS] == ["socket"]
