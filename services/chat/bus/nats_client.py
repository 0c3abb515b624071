"""Connect to a server of NATS, and hear for certain when that is over.

The library would come back by itself, without a word to whoever has missed messages meanwhile; and of some ends of a
connection its callbacks are not told. So each client here has one connection, and says when it has ended.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urlsplit

from nats import errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.aio.transport import TcpTransport

from services.database import explain
from services.errors import Unavailable
from services.settings import Secret

CONNECT_SECONDS = 5
# The library takes a second look at a server that does not let itself be reached, and each step has its own time.
OPEN_SECONDS = 15.0
LEAVE_SECONDS = 1.0
# Whoever answers none of three is gone; whoever sends learns it sooner.
PING_SECONDS = 5
# What came and was not taken yet: far more than a turn of the loop can bring.
MAX_PENDING = 20_000
MAX_PENDING_BYTES = 64 * 1024 * 1024

Hear = Callable[[Msg], Awaitable[None]]
logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    """Say where a server is, and who we are there.

    Attributes:
        url: its address, with nothing secret in it.
        place: its host and port, for whoever reads a log.
        is_secure: whether TLS is asked for.
        user: our name; none where there is a token, or nothing.
        password: what belongs to the name.
        token: what we show in place of both.
    """

    url: str
    place: str
    is_secure: bool
    user: str | None = None
    password: Secret | None = None
    token: Secret | None = None


def parse_addresses(urls: Secret) -> list[Address]:
    """Read addresses that are parted by commas.

    Raises:
        Unavailable: one cannot be read; the message quotes none, as they hold passwords.
    """
    try:
        addresses = [_parse_address(url) for url in map(str.strip, urls.reveal().split(",")) if url]
    except ValueError:
        addresses = []
    if not addresses:
        raise Unavailable("an address of NATS cannot be read; write @ : / ? # % in a password as %XX")
    return addresses


def _parse_address(url: str) -> Address:
    parts = urlsplit(url)
    if not parts.hostname:
        raise ValueError("it names no host")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = f"{host}:{parts.port or 4222}"
    # The library would show both as they are written.
    user = None if parts.username is None else unquote(parts.username)
    password = None if parts.password is None else Secret(unquote(parts.password))
    token = Secret(user) if user and password is None else None
    return Address(f"{parts.scheme}://{place}", place, parts.scheme == "tls", None if token else user, password, token)


class NatsClient(Client):
    """Be one connection, for as long as it lasts.

    Args:
        address: to which server, and as whom.

    Attributes:
        ended: done when the connection has ended, with the reason.
    """

    def __init__(self, address: Address) -> None:
        super().__init__()
        self.address = address
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._is_open = False
        self._is_leaving_us = False
        self._fault: Exception | None = None
        self._subscription: Subscription | None = None

    async def open(self, name: str) -> None:
        """Connect.

        Args:
            name: shown to whoever watches the server.

        Raises:
            Unavailable: it cannot be; the message says why.
        """
        try:
            async with asyncio.timeout(OPEN_SECONDS):
                await self._connect(name)
        except errors.NoServersError as error:
            raise Unavailable(self.describe(self._fault or error)) from None
        except (OSError, errors.Error) as error:
            raise Unavailable(self.describe(error)) from None
        finally:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                # wait_for, until Python 3.12, loses it if what it waits for comes in the same turn of the loop.
                raise asyncio.CancelledError
        self._is_open = True

    async def _connect(self, name: str) -> None:
        address = self.address
        await self.connect(
            [address.url],
            name=name,
            user=address.user,
            password=address.password.reveal() if address.password else None,
            token=address.token.reveal() if address.token else None,
            error_cb=self._take_error,
            lame_duck_mode_cb=self._hear_of_leave,
            allow_reconnect=False,
            max_reconnect_attempts=1,
            reconnect_time_wait=0,
            connect_timeout=CONNECT_SECONDS,
            ping_interval=PING_SECONDS,
            # Nothing is kept where there is no connection, and publish never waits for one.
            pending_size=0,
        )

    async def listen(self, subject: str, hear: Hear) -> None:
        """Have what comes of a subject handed over."""
        self._subscription = await self.subscribe(
            subject, cb=hear, pending_msgs_limit=MAX_PENDING, pending_bytes_limit=MAX_PENDING_BYTES
        )

    async def leave(self) -> None:
        """End the connection, whatever state it is in."""
        try:
            with contextlib.suppress(OSError, errors.Error):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await self.close()
        finally:
            # close() stops half-way where the server is gone, and waits for one that does not read.
            if self._subscription is not None:
                self._subscription._stop_processing()  # noqa: SLF001  # unsubscribe() refuses what is closed
            if isinstance(self._transport, TcpTransport) and self._transport._io_writer is not None:  # noqa: SLF001
                self._transport._io_writer.transport.abort()  # noqa: SLF001  # there is no public way

    def describe(self, error: BaseException) -> str:
        """Say what is wrong, and with which server."""
        said = explain(error).removeprefix("nats: ").strip("' ") if isinstance(error, errors.Error) else explain(error)
        if "authorization violation" in said.lower():
            said += ": it takes no such name and password, or token"
        if self._is_leaving_us:
            said += ", after it had said that it drains"
        return f"NATS at {self.address.place}: {said}"

    def _end(self, reason: str) -> None:
        if not self.ended.done():
            self.ended.set_result(reason)

    async def _take_error(self, error: Exception) -> None:
        self._fault = error
        if self._is_open:
            # Some leave the connection as it is; but then something was lost, or is not allowed.
            self._end(self.describe(error))

    async def _hear_of_leave(self) -> None:
        """Stay until it closes: it ends its connections one by one, and may be the only server."""
        self._is_leaving_us = True
        logger.warning("a server of the bus drains", extra={"fields": {"server": self.address.place}})

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:  # noqa: FBT001, FBT002
        """Insist on TLS where it is asked for; the library does as the server says, be it the server or not."""
        if self.address.is_secure and initial_connection and not info.get("tls_required"):
            if not info.get("tls_available"):
                raise errors.Error("it offers no TLS, and its address begins with tls://")
            info["tls_required"] = True
        await super()._process_info(info, initial_connection)

    async def _read_loop(self) -> None:
        """Know the end of all: a connection that nobody reads is none, and no callback is sure to be called."""
        try:
            await super()._read_loop()
        finally:
            self._end(self.describe(self.last_error or ConnectionResetError("the connection was closed")))


@asynccontextmanager
async def connected(addresses: Sequence[Address], name: str) -> AsyncIterator[NatsClient]:
    """Connect to the first server that lets us, in any order.

    Raises:
        Unavailable: none does; the message says why of each.
    """
    reasons: dict[str, str] = {}
    for address in random.sample(addresses, len(addresses)):
        client = NatsClient(address)
        try:
            try:
                await client.open(name)
            except Unavailable as error:
                reasons[address.url] = error.message
                continue
            yield client
            return
        finally:
            await client.leave()
    # In the order in which they are written, so that the same fault reads the same.
    raise Unavailable("; ".join(reasons[address.url] for address in addresses))
