"""People on different pods of chat are in one room."""

from __future__ import annotations

import asyncio
import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.prod.ground import Ground
from tests.prod.load import Person, log_in, open_room, read_history
from tests.prod.pods import forwarded, ready_pods
from tests.services.chat.phoenix import Phoenix

pytestmark = pytest.mark.cluster

CHAT = "stamp-chat-channels"
PUBLIC, INTERNAL = 4000, 4010
MESSAGES = 25
# For a machine that runs all of them, and the databases, and this.
PATIENCE = 120.0
# Pods that are always there.
LEAST = 3


async def count_replicas(kubeconfig: Path, pod: str) -> int:
    """Return how many replicas a pod says that it hears of."""
    async with (
        forwarded(kubeconfig, pod, INTERNAL) as address,
        aiohttp.ClientSession() as session,
        session.get(f"{address}/metrics") as answer,
    ):
        found = re.search(r"^stampchat_replicas (\d+)", await answer.text(), re.MULTILINE)
    assert found is not None
    return int(found[1])


async def talk(client: Phoenix, topic: str, who: str) -> None:
    """Say one message after the other, without waiting for any."""
    for number in range(MESSAGES):
        await client.push(topic, "shout", {"message": f"{who} {number}"})


async def hear(client: Phoenix, topic: str, count: int) -> list[dict[str, Any]]:
    """Return what a room is told."""
    return [await client.heard(topic) for _ in range(count)]


async def test_two_people_on_two_pods_chat_live(ground: Ground) -> None:
    """Each socket is on a pod of its own, past the gateway; both hear the same in the order of the history."""
    pods = ready_pods(ground.kubeconfig, CHAT)
    async with AsyncExitStack() as stack, ground.site.session() as session:
        direct = await stack.enter_async_context(aiohttp.ClientSession())
        people = [await log_in(session, ground.google.id_token, name) for name in ("Ada", "Grace")]
        room = await open_room(session, people)
        topic = f"room:{room.topic}"

        async def connect(pod: str, person: Person) -> Phoenix:
            address = await stack.enter_async_context(forwarded(ground.kubeconfig, pod, PUBLIC))
            url = f"{address}/socket/websocket?token={person.token}&vsn=2.0.0"
            client = Phoenix(await stack.enter_async_context(direct.ws_connect(url)))
            await client.join(topic)
            return client

        ada, grace = await connect(pods[0], people[0]), await connect(pods[1], people[1])
        await asyncio.gather(talk(ada, topic, "Ada"), talk(grace, topic, "Grace"))
        by_ada, by_grace = await asyncio.gather(*(hear(client, topic, 2 * MESSAGES) for client in (ada, grace)))

        assert by_ada == by_grace
        told = [(message["id"], message["body"]) for message in by_ada]
        assert told == await read_history(session, room, people[0])
        for who in ("Ada", "Grace"):
            said = [f"{who} {number}" for number in range(MESSAGES)]
            assert [body for _, body in told if body in said] == said
        stamp = {"word": "wow", "xPos": 0.5, "yPos": 0.5, "strength": 0.5, "messageId": told[0][0]}
        await grace.push(topic, "stamp", stamp)
        thrown = [await client.heard(topic, "stamp") for client in (ada, grace)]
        assert thrown[0] == thrown[1]
        assert thrown[0]["word"] == "wow"


async def test_every_pod_hears_of_every_other(ground: Ground) -> None:
    """By what each says in its metrics; one that has just been replaced is forgotten after a while."""
    counts: list[int] = []
    async with asyncio.timeout(PATIENCE):
        # An autoscaler may add one at any moment.
        while not counts or counts != [len(counts)] * len(counts):
            counts = [await count_replicas(ground.kubeconfig, pod) for pod in ready_pods(ground.kubeconfig, CHAT)]

    assert len(counts) >= LEAST
