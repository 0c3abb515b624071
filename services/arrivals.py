"""Take several connections in one turn of the loop.

libuv, which the loop is made of, accepts one connection of a listening socket a turn. After a restart thousands wait,
and what a turn costs by itself would be up to a fifth of what a connection does: so the port has several listening
sockets, which are copies of one and share its queue.
"""

from __future__ import annotations

import asyncio
from typing import cast

from aiohttp import web

# More save little more. Where only one connection waits, each of the others is one system call in vain.
LISTENERS = 4


class BusySite(web.TCPSite):
    """Be a port to which many come at once."""

    __slots__ = ("_copies",)

    async def start(self) -> None:
        """Listen."""
        self._copies: list[asyncio.Server] = []
        await super().start()
        loop, make_handler = asyncio.get_running_loop(), self._runner.server
        assert make_handler is not None  # noqa: S101  # else there is no site
        for listening in cast("asyncio.Server", self._server).sockets * (LISTENERS - 1):
            copy = await loop.create_server(make_handler, sock=listening.dup(), backlog=self._backlog)
            self._copies.append(copy)

    async def stop(self) -> None:
        """Listen no more: the queue ends with the last socket that has it."""
        for copy in self._copies:
            copy.close()
        await super().stop()
