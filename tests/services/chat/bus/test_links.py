"""What each link between the replicas does, whatever carries it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

import pytest

from services.chat.bus import nats, postgres
from services.chat.bus.link import Link
from services.chat.bus.nats import NatsLink
from services.chat.bus.postgres import PostgresLink
from services.database import open_database
from services.errors import Unavailable
from services.settings import Secret
from tests.services.chat.bus.ear import SECONDS, Ear, running
from tests.services.chat.bus.server import NatsServer
from tests.services.conftest import Databases


@dataclass
class Carrier:
    """Be what carries the frames of a test.

    Attributes:
        make: makes a link, by the name that it shares with others.
        cut: lets the server go away, or lose every connection.
        mend: lets it come back.
        links: runs them, until the test ends.
    """

    make: Callable[[str], Link]
    cut: Callable[[], Awaitable[object]]
    mend: Callable[[], Awaitable[object]]
    links: AsyncExitStack = field(default_factory=AsyncExitStack)

    async def link(self, name: str = "test") -> tuple[Link, Ear]:
        """Open one more."""
        link = self.make(name)
        ear = await self.links.enter_async_context(running(link))
        await ear.was_opened()
        return link, ear


@pytest.fixture(params=["postgres", "nats"])
async def carrier(
    request: pytest.FixtureRequest, databases: Databases, nats_server: NatsServer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Carrier]:
    """Have each carrier in its turn."""
    for module in (postgres, nats):
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.1)
    carried = _by_postgres(databases) if request.param == "postgres" else _by_nats(nats_server)
    async with carried as made, made.links:
        yield made


@asynccontextmanager
async def _by_postgres(databases: Databases) -> AsyncIterator[Carrier]:
    settings = await databases.make()
    everybody = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1"

    async def nothing() -> None:
        """It takes new connections all the time."""

    async with open_database(settings) as pool:
        yield Carrier(
            lambda name: PostgresLink(settings.url, pool, name),
            lambda: databases.admin.execute(everybody, databases.made[-1]),
            nothing,
        )


@asynccontextmanager
async def _by_nats(server: NatsServer) -> AsyncIterator[Carrier]:
    yield Carrier(
        lambda name: NatsLink(Secret(server.url), name),
        lambda: asyncio.to_thread(server.kill),
        lambda: asyncio.to_thread(server.start),
    )


async def test_what_is_sent_comes_back_to_who_sent_it(carrier: Carrier) -> None:
    """As it was, be it in any script."""
    link, ear = await carrier.link()

    link.send('{"k":["один","🎉\\n"]}'.encode())
    await ear.has('{"k":["один","🎉\\n"]}'.encode())


async def test_two_hear_each_other(carrier: Carrier) -> None:
    """Each hears both."""
    (one, at_one), (other, at_other) = await carrier.link(), await carrier.link()

    one.send(b'{"o":"one"}')
    other.send(b'{"o":"other"}')

    for ear in (at_one, at_other):
        await ear.has(b'{"o":"one"}', b'{"o":"other"}')
    assert at_one.events == at_other.events == ["opened"]


async def test_who_has_another_name_hears_nothing(carrier: Carrier) -> None:
    """Two deployments share a server, or a database."""
    (one, at_one), (other, at_other) = await carrier.link("blue"), await carrier.link("green")

    one.send(b'{"o":"blue"}')
    await at_one.has(b'{"o":"blue"}')
    other.send(b'{"o":"green"}')
    await at_other.has(b'{"o":"green"}')

    assert at_one.frames == [b'{"o":"blue"}']
    assert at_other.frames == [b'{"o":"green"}']


async def test_what_one_says_keeps_its_order(carrier: Carrier) -> None:
    """Whoever hears it, and whatever the others say meanwhile."""
    links = [await carrier.link(), await carrier.link()]
    said = {name: [b'{"o":"%s","n":%d}' % (name, number) for number in range(2000)] for name in (b"one", b"other")}

    for one, other in zip(*said.values(), strict=True):
        links[0][0].send(one)
        links[1][0].send(other)

    for _, ear in links:
        await ear.has_had(4000)
        for name, frames in said.items():
            assert [frame for frame in ear.frames if b'"%s"' % name in frame] == frames


async def test_the_largest_frame_goes_through(carrier: Carrier) -> None:
    """Of as many bytes as the link says that it takes."""
    link, ear = await carrier.link()
    frame = b'"' + b"x" * (link.max_bytes - 2) + b'"'

    link.send(frame)
    await ear.has(frame)


async def test_an_outage_is_told_and_what_is_sent_meanwhile_comes_after_it(carrier: Carrier) -> None:
    """Both are up again by themselves, and hear each other again."""
    (one, at_one), (other, at_other) = await carrier.link(), await carrier.link()
    meanwhile = [b'{"n":%d}' % number for number in range(300)]

    def send() -> None:
        for frame in meanwhile:
            one.send(frame)

    at_one.on_closed = send
    await carrier.cut()
    for ear in (at_one, at_other):
        await ear.was_closed()
    await carrier.mend()
    for ear in (at_one, at_other):
        await ear.was_opened(2)

    await at_one.has(*meanwhile)
    assert at_one.frames == meanwhile
    other.send(b'{"o":"other"}')
    for ear in (at_one, at_other):
        await ear.has(b'{"o":"other"}')
        assert ear.events == ["opened", "closed", "opened"]


async def test_it_says_whether_it_is_up(carrier: Carrier) -> None:
    """For readiness."""
    link = carrier.make("test")
    with pytest.raises(Unavailable, match="not connected yet"):
        await link.check()

    async with running(link) as ear:
        await ear.was_opened()
        await link.check()
        await carrier.cut()
        with pytest.raises(Unavailable, match="the bus is down: "):
            await _ask_on(link)
        await carrier.mend()
        await ear.was_opened(2)
        await link.check()


async def _ask_on(link: Link) -> None:
    """Ask until the answer is another: who listens is told a moment before."""
    async with asyncio.timeout(SECONDS):
        while True:
            await link.check()
            await asyncio.sleep(0)


async def test_close_sends_what_waits(carrier: Carrier) -> None:
    """A replica's farewell is heard."""
    _, ear = await carrier.link()
    link = carrier.make("test")
    frames = [b'{"n":%d}' % number for number in range(500)]
    async with running(link) as own:
        await own.was_opened()
        for frame in frames:
            link.send(frame)
        await link.close()

    await ear.has_had(len(frames))
    assert ear.frames == frames


async def test_close_waits_for_nobody_who_is_away(carrier: Carrier) -> None:
    """What cannot be sent is kept from nobody by waiting."""
    link = carrier.make("test")
    link.send(b'{"n":1}')

    async with asyncio.timeout(0.5):
        await link.close()
