"""Bound handshakes: by address, by process, and when the process is about to end."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from services.chat.app import open_apps
from services.chat.limits import Limits
from services.chat.settings import ChatSettings
from tests.services.chat.conftest import ChatService, Person
from tests.services.conftest import RunService


@pytest.fixture
def limits(still_rates: None) -> Limits:  # noqa: ARG001  # it only has to be there
    """Make limits that a test reaches quickly."""
    return Limits(handshakes_per_second=1, handshakes_burst=6, sockets=4)


async def refused(person: Person, **options: Any) -> tuple[int, str]:
    """Return the status and the Retry-After with which a handshake is refused."""
    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await person.open(**options)
    assert error.value.headers is not None
    return error.value.status, error.value.headers.get("Retry-After", "")


async def metric(chat: ChatService, person: Person, line: str) -> float:
    """Return one of the process's figures."""
    async with person.client.get(f"{chat.internal}/metrics") as response:
        lines = (await response.text()).splitlines()
    return float(next((text for text in lines if text.startswith(line)), "0 0").split()[-1])


async def test_an_address_begins_so_many_handshakes(chat: ChatService) -> None:
    """Answer 429 to the one over the rate, good token or bad, and leave other addresses alone."""
    ada, eve = await chat.meet("Ada"), await chat.meet("Eve", known=False)
    bad = Person(eve.base, eve.identity, "no.good.token", eve.client, eve.sockets)
    statuses: list[int] = []
    async with asyncio.timeout(60):
        while not statuses or statuses[-1] != 429:
            statuses.append((await refused(bad, headers={"X-Forwarded-For": "6.6.6.6"}))[0])

    assert statuses[:6] == [403] * 6
    assert await refused(ada, headers={"X-Forwarded-For": "6.6.6.6"}) == (429, "1")
    await (await ada.open(headers={"X-Forwarded-For": "7.7.7.7"})).silent("")
    assert await metric(chat, ada, 'stampchat_handshakes_refused_total{reason="rate"}') >= 2


async def test_a_network_of_ipv6_is_one_address(chat: ChatService) -> None:
    """Count a /64, of which one phone has all."""
    eve = await chat.meet("Eve", known=False)
    bad = Person(eve.base, eve.identity, "no.good.token", eve.client, eve.sockets)
    for number in range(6):
        await refused(bad, headers={"X-Forwarded-For": f"2001:db8::{number:x}"})

    assert (await refused(bad, headers={"X-Forwarded-For": "2001:db8::ffff"}))[0] == 429


async def test_a_process_has_so_many_sockets(chat: ChatService) -> None:
    """Answer 503 with Retry-After when it is full, and let the next in when one has gone."""
    people = [await chat.meet(f"P{number}") for number in range(5)]
    sockets = [await person.open(headers={"X-Forwarded-For": f"10.0.0.{n}"}) for n, person in enumerate(people[:4])]

    assert await refused(people[4], headers={"X-Forwarded-For": "10.0.0.9"}) == (503, "10")
    assert await metric(chat, people[0], 'stampchat_handshakes_refused_total{reason="full"}') == 1
    await sockets[0].socket.close()
    async with asyncio.timeout(60):
        while await metric(chat, people[0], "stampchat_sockets ") > 3:  # noqa: ASYNC110  # a figure has no event
            await asyncio.sleep(0.02)
    await (await people[4].open(headers={"X-Forwarded-For": "10.0.0.8"})).silent("")


async def test_a_process_that_stops_takes_no_socket(
    settings: ChatSettings, run_service: RunService, client: aiohttp.ClientSession
) -> None:
    """Answer 503 from the moment of the signal, before anybody's token is looked at."""
    opened = open_apps(settings)
    apps = await opened.__aenter__()

    class Opened:
        async def __aenter__(self) -> Any:
            return apps

        async def __aexit__(self, *error: object) -> Any:
            return await opened.__aexit__(None, None, None)

    running = await run_service(Opened())
    apps.health.draining = True

    with pytest.raises(aiohttp.WSServerHandshakeError) as error:
        await client.ws_connect(f"{running.public}/socket/websocket?token=x&vsn=2.0.0")

    assert error.value.status == 503
    assert error.value.headers is not None
    assert error.value.headers["Retry-After"] == "1"
