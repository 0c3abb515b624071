"""Link replicas by a subject of NATS.

It keeps nothing: what is published while somebody is away is lost to them, so every new connection begins with what was
missed. A server says nothing of what it has taken; but it brings our own frames back, in their order, and each is kept
until it has come.
https://docs.nats.io/reference/reference-protocols/nats-protocol
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import secrets
from collections import deque
from collections.abc import Sequence
from itertools import count, islice

from nats import errors
from nats.aio.msg import Msg

from services.chat.bus.link import Hearer
from services.chat.bus.nats_client import NatsClient, connected, parse_addresses
from services.database import Connection, explain
from services.errors import RequestError, Unavailable
from services.settings import Secret

# Servers take a mebibyte unless told otherwise; what is larger than this holds up whatever is behind it.
MAX_BYTES = 64 * 1024
# Until a server has said what it takes: few are told to take less.
CAREFUL_BYTES = 8 * 1024
# Below what the server takes.
MARGIN_BYTES = 64
ECHO_SECONDS = 10.0
CLOSE_SECONDS = 1.0
RETRY_SECONDS = 1.0
# A minute or so of a busy replica; whoever misses some of it asks the table.
MAX_WAITING = 10_000
# Frames that are on their way at once.
MAX_BATCH = 100
# What is no frame: the link's own question whether it hears itself.
_QUESTION = b"?"

logger = logging.getLogger(__name__)


class NatsLink:
    """Link by one subject.

    Args:
        url: of one or more servers, parted by commas.
        name: keeps deployments apart that share them.
    """

    notified: str | None = None

    def __init__(self, url: Secret, name: str) -> None:
        self._url = url
        self._subject = f"stampchat.{name}.chat"
        self.max_bytes = CAREFUL_BYTES
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._idle = asyncio.Event()
        self._idle.set()
        self._bell: asyncio.Future[None] | None = None
        # What marks the last one of a batch, so that it is known when it comes back.
        self._marks = (f"stampchat.{token}.{number}" for token in (secrets.token_hex(8),) for number in count())
        self._mark = ""
        self._echo: asyncio.Future[None] | None = None
        self._fault = "it has not connected yet"

    def send(self, frame: bytes) -> None:
        """Send with all that comes until the last ones have come back."""
        self._waiting.append(frame)
        self._idle.clear()
        if self._bell is not None and not self._bell.done():
            self._bell.set_result(None)

    async def announce(self, connection: Connection, frames: Sequence[bytes]) -> None:
        """Do nothing: no transaction carries what goes over NATS."""

    async def check(self) -> None:
        """Say why the link is down, if it is."""
        if self._fault:
            raise Unavailable(f"the bus is down: {self._fault}")

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
            except RequestError as error:
                self._fail(error.message)
            except Exception as error:
                logger.exception("the bus failed")
                self._fail(explain(error))
            await asyncio.sleep(RETRY_SECONDS * random.uniform(0.5, 1))  # noqa: S311  # no secret

    def _fail(self, fault: str) -> None:
        if fault != self._fault:
            logger.warning("the bus is down", extra={"fields": {"reason": fault}})
        self._fault = fault

    async def _serve(self, hearer: Hearer) -> None:
        """Listen until the connection ends."""
        async with connected(parse_addresses(self._url), self._subject) as client:
            is_up = False

            async def hear(message: Msg) -> None:
                if message.reply == self._mark and self._echo is not None and not self._echo.done():
                    self._echo.set_result(None)
                if is_up and message.data != _QUESTION:
                    hearer.receive(message.data)

            await client.listen(self._subject, hear)
            await self._publish(client, [_QUESTION])
            self.max_bytes = min(MAX_BYTES, client.max_payload - MARGIN_BYTES)
            is_up = True
            self._fault = ""
            logger.info("the bus is up", extra={"fields": {"server": client.address.place}})
            hearer.opened()
            try:
                await self._send_all(client)
            finally:
                is_up = False
                hearer.closed()

    async def _send_all(self, client: NatsClient) -> None:
        """Send what comes, for as long as the connection lasts.

        Raises:
            Unavailable: it has ended.
        """
        while not client.ended.done():
            while self._waiting:
                await self._send_some(client)
            self._idle.set()
            self._bell = asyncio.get_running_loop().create_future()
            await asyncio.wait((self._bell, client.ended), return_when=asyncio.FIRST_COMPLETED)
        raise Unavailable(client.ended.result())

    async def _send_some(self, client: NatsClient) -> None:
        batch = list(islice(self._waiting, MAX_BATCH))
        fitting = [frame for frame in batch if len(frame) <= client.max_payload]
        if len(fitting) < len(batch):
            largest = max(map(len, batch))
            fields = {"bytes": largest, "most": client.max_payload, "server": client.address.place}
            logger.warning("a frame is larger than the bus takes, and is dropped", extra={"fields": fields})
        await self._publish(client, fitting)
        # What came meanwhile may have pushed some of them out.
        for frame in batch:
            if self._waiting and self._waiting[0] is frame:
                self._waiting.popleft()

    async def _publish(self, client: NatsClient, frames: Sequence[bytes]) -> None:
        """Publish, and wait until the last one has come back; all before it have come, too.

        Raises:
            Unavailable: it has not.
        """
        if not frames:
            return
        self._mark = next(self._marks)
        self._echo = asyncio.get_running_loop().create_future()
        try:
            for frame in frames[:-1]:
                await client.publish(self._subject, frame)
            await client.publish(self._subject, frames[-1], reply=self._mark)
        except errors.Error as error:
            raise Unavailable(client.ended.result() if client.ended.done() else client.describe(error)) from None
        await asyncio.wait((self._echo, client.ended), timeout=ECHO_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if not self._echo.done():
            silent = errors.Error("what we say does not come back")
            raise Unavailable(client.ended.result() if client.ended.done() else client.describe(silent))
