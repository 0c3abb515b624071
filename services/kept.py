"""Hold a connection between two questions, for whoever asks one after the other all the time.

To lend one anew for each costs two tasks and some turns of the loop, which is as much as a small question itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import asyncpg

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

    Connection: TypeAlias = PoolConnectionProxy[asyncpg.Record]

# Without a question for this long, it is the pool's again.
IDLE_SECONDS = 1.0


class Kept:
    """Ask over one connection, and hold it.

    Args:
        lend: takes a connection out of the pool.
        take_back: returns it there.
        lose: makes what is raised of an error, as Database does.
        is_needed: says whether others may be waiting for a connection.
    """

    def __init__(
        self,
        lend: Callable[[], Awaitable[Connection]],
        take_back: Callable[[Connection], Awaitable[None]],
        lose: Callable[[Exception], Awaitable[Exception]],
        is_needed: Callable[[], bool],
    ) -> None:
        self._lend = lend
        self._take_back = take_back
        self._lose = lose
        self._is_needed = is_needed
        self._connection: Connection | None = None
        self._is_asked = False
        self._timer: asyncio.TimerHandle | None = None
        self._letting_go: asyncio.Task[None] | None = None

    async def fetch(self, statement: str, *arguments: Any) -> list[asyncpg.Record]:
        """Ask one question, outside of any transaction; those who ask at the same time each have a connection.

        Raises:
            DatabaseUnavailable: as Database.connection() does.
        """
        connection, self._connection = self._connection, None
        try:
            if connection is None or _is_lost(connection):
                connection = None
                connection = await self._lend()
            rows: list[asyncpg.Record] = await connection.fetch(statement, *arguments)
        except BaseException as error:
            await self._give_back(connection)
            if isinstance(error, Exception) and (said := await self._lose(error)) is not error:
                raise said from error
            raise
        if self._connection is None and not self._is_needed():
            self._hold(connection)
        else:
            await self._give_back(connection)
        return rows

    async def let_go(self) -> None:
        """Give the connection back, if it is held."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        connection, self._connection = self._connection, None
        await self._give_back(connection)

    def _hold(self, connection: Connection) -> None:
        self._connection = connection
        self._is_asked = True
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._look)

    def _look(self) -> None:
        """Give the connection back where nobody has asked since the last look."""
        self._timer = None
        if self._is_asked:
            self._is_asked = False
            self._timer = asyncio.get_running_loop().call_later(IDLE_SECONDS, self._look)
        else:
            self._letting_go = asyncio.get_running_loop().create_task(self.let_go())

    async def _give_back(self, connection: Connection | None) -> None:
        if connection is not None:
            await self._take_back(connection)


def _is_lost(connection: Connection) -> bool:
    try:
        return connection.is_closed()
    except asyncpg.InterfaceError:
        # Cut from the other side, it went back to the pool by itself.
        return True
