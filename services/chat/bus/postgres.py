"""Link replicas by LISTEN and NOTIFY of the database in which they store.

Notifications are told in the order of commits, to everybody who listens, and a commit's are lost only with it. A pooler
that lends its sessions by the transaction swallows them: so the link listens on a connection of its own, and hears of
itself before it says that it is up.
https://www.postgresql.org/docs/current/sql-notify.html
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import asyncpg

from services.chat.bus.link import Hearer
from services.database import AWAY, UNUSABLE, Connection, Database, explain
from services.errors import DatabaseReadOnly, RequestError, Unavailable
from services.settings import Secret

# NOTIFY takes less than 8000.
MAX_BYTES = 7999
CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 10.0
ECHO_SECONDS = 5.0
CLOSE_SECONDS = 1.0
RETRY_SECONDS = 1.0
# A minute or so of a busy replica; whoever misses some of it asks the table.
MAX_WAITING = 10_000
# Frames of one round trip.
MAX_BATCH = 50
# Begins what is no frame: the link's own question whether it hears itself.
_ECHO = "?"

_NOTIFY = "SELECT pg_notify($1, frame) FROM unnest($2::text[]) WITH ORDINALITY AS f (frame, ordinal) ORDER BY ordinal"

_Listener: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
logger = logging.getLogger(__name__)


class PostgresLink:
    """Link by one database.

    Args:
        url: of the database, past any pooler.
        database: the pool over which commits notify.
        channel: whose notifications are ours.
    """

    max_bytes = MAX_BYTES

    def __init__(self, url: Secret, database: Database, channel: str) -> None:
        self._url = url
        self._database = database
        self.notified: str = channel
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._bell = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._fault = "it has not connected yet"
        self._kind: type[Unavailable] = Unavailable

    def send(self, frame: bytes) -> None:
        """Send with all that comes until the last ones are sent."""
        self._waiting.append(frame)
        self._idle.clear()
        self._bell.set()

    async def announce(self, connection: Connection, frames: Sequence[bytes]) -> None:
        """Notify when the transaction commits."""
        await connection.execute(_NOTIFY, self.notified, [frame.decode() for frame in frames])

    async def check(self) -> None:
        """Say why the link is down, if it is."""
        if self._fault:
            raise self._kind(f"the bus is down: {self._fault}")

    async def close(self) -> None:
        """Send what waits, unless the link is down."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0 if self._fault else CLOSE_SECONDS):
                await self._idle.wait()

    async def run(self, hearer: Hearer) -> None:
        """Be up, time and again."""
        while True:
            try:
                await self._serve(hearer)
            except asyncpg.ReadOnlySQLTransactionError as error:
                # Nobody can LISTEN on a standby.
                self._fail(explain(error), kind=DatabaseReadOnly)
            except (*AWAY, *UNUSABLE, RequestError, asyncpg.PostgresError) as error:
                self._fail(explain(error))
            except Exception as error:
                logger.exception("the bus failed")
                self._fail(explain(error))
            await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1))  # noqa: S311  # no secret

    def _fail(self, fault: str, *, kind: type[Unavailable] = Unavailable) -> None:
        if fault != self._fault:
            logger.warning("the bus is down", extra={"fields": {"reason": fault}})
        self._fault, self._kind = fault, kind

    async def _serve(self, hearer: Hearer) -> None:
        """Listen until the connection ends."""
        async with self._connect() as listener:
            heard = asyncio.Event()
            ended = asyncio.Event()
            question = _ECHO + secrets.token_hex(8)

            def hear(_connection: object, _pid: int, _channel: str, payload: object) -> None:
                if not isinstance(payload, str) or payload.startswith(_ECHO):
                    if payload == question:
                        heard.set()
                    return
                if is_up:
                    hearer.receive(payload.encode())

            is_up = False
            listener.add_termination_listener(lambda _connection: ended.set())
            await listener.add_listener(self.notified, hear)
            await self._ask(question, heard)
            is_up = True
            self._fault = ""
            logger.info("the bus is up")
            hearer.opened()
            try:
                await self._send_all(listener, ended)
            finally:
                hearer.closed()

    async def _ask(self, question: str, heard: asyncio.Event) -> None:
        """Hear of oneself, by the way that commits take.

        Raises:
            Unavailable: nothing came.
        """
        async with self._database.connection() as connection:
            await connection.execute(_NOTIFY, self.notified, [question])
        try:
            async with asyncio.timeout(ECHO_SECONDS):
                await heard.wait()
        except TimeoutError:
            raise Unavailable(
                "what is notified does not come back: a pooler stands before the database, or the bus's address is"
                " another database's; name the database itself in STAMPCHAT_BUS_URL_FILE"
            ) from None

    async def _send_all(self, listener: _Listener, ended: asyncio.Event) -> None:
        """Send what comes, for as long as the connection lasts.

        Raises:
            OSError: it has ended.
        """
        ending = asyncio.create_task(ended.wait())
        try:
            while not ended.is_set():
                self._bell.clear()
                while self._waiting:
                    await self._send_some(listener)
                self._idle.set()
                ringing = asyncio.create_task(self._bell.wait())
                try:
                    await asyncio.wait((ending, ringing), return_when=asyncio.FIRST_COMPLETED)
                finally:
                    ringing.cancel()
        finally:
            ending.cancel()
        raise ConnectionResetError("the connection was closed")

    async def _send_some(self, listener: _Listener) -> None:
        batch = [self._waiting[index] for index in range(min(MAX_BATCH, len(self._waiting)))]
        await listener.execute(_NOTIFY, self.notified, [frame.decode() for frame in batch])
        # What came meanwhile may have pushed some of them out.
        for frame in batch:
            if self._waiting and self._waiting[0] is frame:
                self._waiting.popleft()

    @asynccontextmanager
    async def _connect(self) -> AsyncIterator[_Listener]:
        listener: _Listener = await asyncpg.connect(
            self._url.reveal(), timeout=CONNECT_SECONDS, command_timeout=COMMAND_SECONDS
        )
        try:
            yield listener
        finally:
            # A farewell may wait for a server that is gone.
            listener.terminate()
