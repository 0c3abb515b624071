"""Hold sockets to RFC 6455, those of our own and those of aiohttp's handler, row by row of the same table."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from aiohttp import web

from tests.services.chat.echo import Echo, connect, echoing
from tests.services.chat.raw import CLOSE, FIN, PING, PONG, Raw
from tests.services.chat.rfc6455 import GROUPS, MOST, Row, Told

# Of the loop: aiohttp's handler needs some to close.
TURNS = 12


@pytest.fixture
async def runner() -> AsyncIterator[web.AppRunner]:
    """Say back whatever fits."""
    async with echoing(Echo(most=MOST)) as running:
        yield running


async def say(raw: Raw, row: Row, hearing: asyncio.Task[Told]) -> None:
    """Send a row's bytes in its pieces, but nothing more to a server that has closed."""
    step = row.chop or len(row.sent)
    for start in range(0, len(row.sent), step):
        if hearing.done():
            return
        await raw.send_bytes(row.sent[start : start + step])
        # So that the server reads the piece by itself, and we read what it has to say to it.
        for _ in range(TURNS):
            await asyncio.sleep(0)


async def hear(raw: Raw, count: int) -> Told:
    """Return so many frames, and the one behind them."""
    return tuple([await raw.receive() for _ in range(count + 1)])


@pytest.mark.parametrize("path", ["/", "/aiohttp"], ids=["own", "aiohttp"])
@pytest.mark.parametrize(
    "row", [pytest.param(row, id=f"{group}: {row.what}") for group, rows in GROUPS.items() for row in rows]
)
async def test_a_row(runner: web.AppRunner, row: Row, path: str) -> None:
    """Tell what is to be told, then close by the row's code and say nothing more, or live on."""
    told, code = row.told, row.code
    if path == "/aiohttp" and row.aiohttp is not None:
        told, code, _ = row.aiohttp
    raw = await connect(runner, path)

    hearing = asyncio.create_task(hear(raw, len(told)))
    await say(raw, row, hearing)
    if code is None:
        await raw.send(b"alive?", first=FIN | PING)
        assert await hearing == (*told, (PONG, b"alive?"))
        return

    *heard, (kind, payload) = await hearing
    assert (*heard, (kind, payload[:2])) == (*told, (CLOSE, struct.pack("!H", code)))
    with suppress(ConnectionError):
        await raw.send(payload[:2], first=FIN | CLOSE)
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await raw.receive()
