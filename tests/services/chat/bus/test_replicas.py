"""Chat on three replicas at once, as people whom the gateway has sent to different ones."""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import aiohttp
import pytest

from services.chat.app import open_apps
from services.chat.bus.settings import BusSettings
from services.chat.settings import ChatSettings
from services.tokens import Signer
from tests.services.chat.bus.conftest import CutBus
from tests.services.chat.conftest import Notifications, Person, mint
from tests.services.chat.phoenix import SECONDS, Phoenix
from tests.services.conftest import Running, RunService

REPLICAS = 3


@dataclass(frozen=True)
class Replicas:
    """Be replicas of the chat service, of one database.

    Attributes:
        running: each.
        meet: makes a person whom the service knows, for a client that is sent to one of them.
    """

    running: list[Running]
    meet: Callable[[str, int], Awaitable[Person]]

    async def are_linked(self, client: aiohttp.ClientSession) -> None:
        """Wait until each hears of all the others."""
        async with asyncio.timeout(SECONDS):
            for running in self.running:
                while f"stampchat_replicas {len(self.running)}.0" not in await _metrics(client, running):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)


async def _metrics(client: aiohttp.ClientSession, running: Running) -> str:
    async with client.get(f"{running.internal}/metrics") as response:
        return await response.text()


@pytest.fixture
def shared_settings(settings: ChatSettings, bus: BusSettings) -> ChatSettings:
    """Make settings of a replica."""
    return replace(settings, bus=bus)


@pytest.fixture
async def replicas(
    shared_settings: ChatSettings, run_service: RunService, signer: Signer, client: aiohttp.ClientSession
) -> AsyncIterator[Replicas]:
    """Run three."""
    running = [await run_service(open_apps(shared_settings)) for _ in range(REPLICAS)]
    headers = {"Authorization": f"Bearer {shared_settings.credential.reveal()}"}
    async with AsyncExitStack() as sockets:

        async def meet(name: str, number: int) -> Person:
            identity = name.lower()
            body = {"name": name, "identity": identity}
            async with client.post(f"{running[number].internal}/internal/users", json=body, headers=headers) as answer:
                assert answer.status == 200
            return Person(running[number].public, identity, mint(signer, identity, name), client, sockets)

        made = Replicas(running, meet)
        await made.are_linked(client)
        yield made


@dataclass(frozen=True)
class Scene:
    """Be Ada, Bob and Cy, each on a replica of their own, in a room that Ada has made.

    Attributes:
        people: them.
        sockets: one of each, joined to the room.
        room: the room.
        topic: its sockets' topic.
    """

    people: list[Person]
    sockets: list[Phoenix]
    room: dict[str, Any]
    topic: str


async def settle(sockets: list[Phoenix], topic: str, last: str) -> list[list[Any]]:
    """Return what each socket is told until a message, that message not included."""
    told: list[list[Any]] = []
    for socket in sockets:
        frames: list[Any] = []
        while True:
            frame = await socket.receive()
            if frame[2:4] == [topic, "shout"] and frame[4]["data"].get("body") == last:
                break
            frames.append(frame)
        told.append(frames)
    return told


async def until(socket: Phoenix, event: str) -> Any:
    """Return the payload of the next such event."""
    while (frame := await socket.receive())[3] != event:
        pass
    return frame[4]


@pytest.fixture
async def scene(replicas: Replicas) -> Scene:
    """Bring them together."""
    people = [await replicas.meet(name, number) for number, name in enumerate(("Ada", "Bob", "Cy"))]
    room = await people[0].make_room()
    for person in people[1:]:
        await person.post("/channels/join", {"topic": room["topic"]})
    sockets = [await person.enter(room) for person in people]
    topic = f"room:{room['topic']}"
    await sockets[0].push(topic, "shout", {"message": "begin"})
    await settle(sockets, topic, "begin")
    return Scene(people, sockets, room, topic)


async def test_what_is_said_on_one_is_told_on_all_alike(scene: Scene) -> None:
    """Everybody is told the very same message, its sender too."""
    said = await scene.sockets[1].shout(scene.topic, "hi \N{WAVING HAND SIGN}\nthere")

    assert [await socket.heard(scene.topic) for socket in (scene.sockets[0], scene.sockets[2])] == [said, said]
    page = await scene.people[2].get(f"/channels/{scene.room['id']}/events")
    assert page["data"]["messages"][0] == said


async def test_a_room_hears_the_same_order_everywhere(scene: Scene) -> None:
    """Under many who speak at once, and with batches too large for one notification."""
    most = 150

    async def talk(number: int) -> None:
        for count in range(most):
            await scene.sockets[number].push(scene.topic, "shout", {"message": f"{number}.{count} {'x' * 200}"})

    async def listen(socket: Phoenix) -> list[Any]:
        return [await socket.heard(scene.topic) for _ in range(most * REPLICAS)]

    told = await asyncio.gather(*map(listen, scene.sockets), *map(talk, range(REPLICAS)))

    heard = told[:REPLICAS]
    assert heard[0] == heard[1] == heard[2]
    ids = [message["id"] for message in heard[0]]
    assert ids == sorted(set(ids))
    by_talker = defaultdict(list)
    for message in heard[0]:
        talker, count = message["body"].split()[0].split(".")
        by_talker[talker].append(int(count))
    assert dict(by_talker) == {str(number): list(range(most)) for number in range(REPLICAS)}


async def test_who_leaves_hears_no_more_on_any_replica_and_may_come_back(scene: Scene) -> None:
    """The leave is told, and every socket of the person's is ended, wherever it is."""
    bob = scene.people[1]
    elsewhere = replace(bob, base=scene.people[2].base)
    other = await elsewhere.enter(scene.room)

    await replace(bob, base=scene.people[0].base).post("/channels/leave", {"channel_id": scene.room["id"]})

    for socket in (scene.sockets[1], other):
        frames = [await socket.receive()]
        while frames[-1][3] != "phx_close":
            frames.append(await socket.receive())
        assert [frame[4]["data"]["type"] for frame in frames[:-1]] in ([], ["chat_info"])
    assert (await scene.sockets[0].heard(scene.topic))["type"] == "chat_info"
    await bob.post("/channels/join", {"topic": scene.room["topic"]})
    back = await elsewhere.enter(scene.room)
    await scene.sockets[0].push(scene.topic, "shout", {"message": "welcome back"})
    (told,) = await settle([back], scene.topic, "welcome back")
    # Their own coming may be on its way yet.
    assert [frame[3] for frame in told] in ([], ["shout"])


async def test_stamps_edits_and_whispers_reach_all(scene: Scene) -> None:
    """Each once, the sender of a stamp and of an edit too, the sender of a whisper not."""
    ada, bob, cy = scene.sockets
    said = await bob.shout(scene.topic, "look")
    for socket in (ada, cy):
        await socket.heard(scene.topic)

    stamp = {"messageId": said["id"], "word": "wow", "xPos": 0.5, "yPos": 0.5, "strength": 0.3}
    await cy.push(scene.topic, "stamp", stamp)
    stamps = [await socket.heard(scene.topic, "stamp") for socket in scene.sockets]
    await bob.push(scene.topic, "edit", {"message_id": said["id"], "message": "look here"})
    edits = [await until(socket, "edit") for socket in scene.sockets]
    await ada.push(scene.topic, "whisper", {"typing": True})
    whispers = [await until(socket, "whisper") for socket in (bob, cy)]

    assert stamps[0]["word"] == "wow"
    assert stamps == [stamps[0]] * 3
    assert [edit["data"]["body"] for edit in edits] == ["look here"] * 3
    assert [whisper["data"] for whisper in whispers] == [{"typing": True}] * 2
    await ada.silent(scene.topic)


async def test_a_renamed_and_a_renewed_room_are_told_to_all(scene: Scene) -> None:
    """The name, then the new topic, after which every socket of the old one is ended."""
    ada = scene.people[0]
    status, _ = await ada.call("PATCH", f"/channels/{scene.room['id']}", {"channel_name": "Boat trip"})
    assert status == 200
    for socket in scene.sockets:
        frame = await socket.receive()
        assert (frame[3], frame[4]["friendly_name"]) == ("channel", "Boat trip")

    renewed = (await ada.post(f"/channels/{scene.room['id']}/renew", {}))["data"]

    for socket in scene.sockets:
        frame = await socket.receive()
        assert (frame[3], frame[4]["topic"]) == ("channel", renewed["topic"])
        assert (await socket.receive())[3] == "phx_close"
    sockets = [await person.enter(renewed) for person in scene.people]
    said = await sockets[0].shout(f"room:{renewed['topic']}", "here")
    assert [await socket.heard(f"room:{renewed['topic']}") for socket in sockets[1:]] == [said, said]


async def test_who_is_blocked_on_one_is_not_heard_on_another(scene: Scene) -> None:
    """A block counts for the person's sockets on every replica."""
    ada, bob, cy = scene.sockets
    user = next(
        member["user"]
        for room in (await scene.people[0].get("/channels"))["data"]
        for member in room["members"]
        if member["user"]["identity"] == "cy"
    )
    await replace(scene.people[1], base=scene.people[2].base).post("/blocks", {"user_id": user["id"]})

    async with asyncio.timeout(SECONDS):
        while True:
            # The block is on its way to Bob's replica.
            await cy.push(scene.topic, "shout", {"message": "from Cy"})
            await ada.push(scene.topic, "shout", {"message": "from Ada"})
            if [frame[4]["data"]["body"] for frame in (await settle([bob], scene.topic, "from Ada"))[0]] == []:
                break


async def test_presence_is_of_all_replicas(scene: Scene, replicas: Replicas) -> None:
    """Who asks is shown everybody, and told who comes and goes elsewhere."""
    dan = await replicas.meet("Dan", 0)
    await dan.post("/channels/join", {"topic": scene.room["topic"]})
    watcher = await dan.open()
    await watcher.join(scene.topic, {"presence": True})

    seen = set(await until(watcher, "presence_state"))
    while len(seen) < 4:
        seen |= set((await until(watcher, "presence_diff"))["joins"])
    await scene.sockets[2].socket.close()
    gone = (await until(watcher, "presence_diff"))["leaves"]
    while not gone:
        gone = (await until(watcher, "presence_diff"))["leaves"]
    assert len(gone) == 1
    assert set(gone) < seen


async def test_who_looks_on_another_replica_is_not_pushed(scene: Scene, notifications: Notifications) -> None:
    """Only who looks nowhere is: whichever replica hands pushes over."""
    eve = scene.people[2]
    await scene.sockets[2].socket.close()
    await asyncio.wait_for(_until_pushed(scene, notifications, eve.identity), SECONDS)

    assert {identity for call in notifications.calls for identity in call["identities"]} == {eve.identity}


async def _until_pushed(scene: Scene, notifications: Notifications, identity: str) -> None:
    while not any(identity in call["identities"] for call in notifications.calls):
        await scene.sockets[0].push(scene.topic, "shout", {"message": "anybody?"})
        await asyncio.sleep(0.3)


async def test_what_is_said_while_the_bus_is_cut_is_told_when_it_is_back(
    scene: Scene, settings: ChatSettings, cut_bus: CutBus
) -> None:
    """Again and again, under talk: every socket hears everything, once, in order."""
    most, is_over = 300, asyncio.Event()

    async def cut() -> None:
        while not is_over.is_set():
            await cut_bus(settings.database)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(is_over.wait(), 0.5)

    async def talk(number: int) -> None:
        for count in range(most):
            await scene.sockets[number].push(scene.topic, "shout", {"message": f"{number}.{count}"})
            await asyncio.sleep(0.005)

    async def listen(socket: Phoenix) -> list[Any]:
        return [(await socket.heard(scene.topic))["id"] for _ in range(most * REPLICAS)]

    cutting = asyncio.create_task(cut())
    told = await asyncio.gather(*map(listen, scene.sockets), *map(talk, range(REPLICAS)))
    is_over.set()
    await cutting
    assert told[0] == told[1] == told[2] == sorted(set(told[0]))
