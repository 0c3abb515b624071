"""Use a deployment as many people do, over REST and over sockets, and see whether anything of theirs gets lost."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import secrets
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

T = TypeVar("T")
Json = dict[str, Any]

TIMEOUT = aiohttp.ClientTimeout(total=20)
# For a machine that replaces nine pods meanwhile.
PATIENCE = 120.0
PAUSE = 0.2
# What somebody says before they have heard the first of it.
WINDOW = 3
OK = 200


@dataclass(frozen=True)
class Site:
    """Say where a deployment is and whom to believe.

    Attributes:
        url: as its users write it.
        address: where its name leads.
        authority: the file of the authorities that its users trust.
    """

    url: str
    address: str
    authority: str

    @asynccontextmanager
    async def session(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Open a client of one user's."""
        context = ssl.create_default_context(cafile=self.authority)
        connector = aiohttp.TCPConnector(ssl=context, resolver=_Resolver(self.address), limit=0)
        async with aiohttp.ClientSession(self.url, connector=connector, timeout=TIMEOUT) as session:
            yield session


class _Resolver(AbstractResolver):
    """Know the one name."""

    def __init__(self, address: str) -> None:
        self._address = address

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [ResolveResult(hostname=host, host=self._address, port=port, family=family, proto=0, flags=0)]

    async def close(self) -> None:
        pass


@dataclass
class Tally:
    """Count what was sent and what became of it.

    Attributes:
        requests: that were sent over REST.
        lost: of them, those without the answer that they should have had, with why.
        slowest: seconds of the slowest answer.
        messages: that were said over sockets.
        deliveries: messages told to sockets, to each of them.
        faults: messages lost, twice or out of order, with who saw it.
        reconnects: times that a socket was opened again.
        refused: handshakes that were tried once more.
        seconds: how long it went on.
    """

    requests: int = 0
    lost: list[str] = field(default_factory=list)
    slowest: float = 0.0
    messages: int = 0
    deliveries: int = 0
    faults: list[str] = field(default_factory=list)
    reconnects: int = 0
    refused: int = 0
    seconds: float = 0.0


@dataclass(frozen=True)
class Person:
    """Be somebody who is logged in."""

    name: str
    token: str


@dataclass(frozen=True)
class Room:
    """Be a place to talk in: its number for REST, its topic for sockets."""

    number: int
    topic: str


@dataclass(frozen=True)
class Crowd:
    """Say how many use the deployment, and how fast.

    Attributes:
        clients: people who use REST.
        rate: requests a second of all of them.
        rooms: rooms in which people talk.
        talkers: people in each.
        pause: seconds that each of them thinks between two messages.
    """

    clients: int = 12
    rate: float = 40.0
    rooms: int = 3
    talkers: int = 4
    pause: float = 0.25


async def under_load(
    site: Site,
    id_token: Callable[[str], str],
    change: Callable[[], T],
    *,
    requests: int,
    crowd: Crowd | None = None,
) -> tuple[T, Tally]:
    """Do something to a deployment while people use it.

    Args:
        site: the deployment.
        id_token: vouches for a name, as Google does.
        change: what is done; it runs in a thread.
        requests: the least that are sent, before, while and after it is done.
        crowd: how many people there are.

    Returns:
        What the change returned, and what people saw.
    """
    crowd = crowd or Crowd()
    tally = Tally()
    stop = asyncio.Event()
    async with site.session() as session:
        people = [await log_in(session, id_token, f"Client {number}") for number in range(crowd.clients)]
        rooms = [await _gather_room(session, id_token, number, crowd.talkers) for number in range(crowd.rooms)]
        talkers = [
            Talker(session, person, room.topic, tally, crowd.pause) for room, people in rooms for person in people
        ]
        started = time.monotonic()
        async with asyncio.TaskGroup() as group:
            for number, person in enumerate(people):
                group.create_task(_use(session, person, tally, stop, pace=crowd.clients / crowd.rate, first=number))
            spoken = [group.create_task(talker.talk(stop)) for talker in talkers]
            try:
                result = await asyncio.to_thread(change)
                while tally.requests < requests:  # noqa: ASYNC110  # counted by others
                    await asyncio.sleep(PAUSE)
            finally:
                stop.set()
            await asyncio.wait(spoken)
            tally.seconds = time.monotonic() - started
            for room, _ in rooms:
                await _judge(session, tally, room, [talker for talker in talkers if talker.topic == room.topic])
            for talker in talkers:
                talker.leave()
    return result, tally


async def log_in(session: aiohttp.ClientSession, id_token: Callable[[str], str], name: str) -> Person:
    """Log somebody in as the app does."""
    body = {"authProvider": "google", "token": id_token(name)}
    async with session.post("/auth/login", json=body) as answer:
        assert answer.status == OK, await answer.text()
        return Person(name, (await answer.json())["token"])


async def _gather_room(
    session: aiohttp.ClientSession, id_token: Callable[[str], str], number: int, size: int
) -> tuple[Room, list[Person]]:
    people = [await log_in(session, id_token, f"Talker {number} {each}") for each in range(size)]
    return await open_room(session, people), people


async def open_room(session: aiohttp.ClientSession, people: list[Person]) -> Room:
    """Have the first of some people open a room, and the others join it."""
    first, *others = people
    channel = await _post(session, first, "/chat/channels", {"channel_name": "Road trip"})
    room = Room(int(channel["data"]["id"]), str(channel["data"]["topic"]))
    for person in others:
        await _post(session, person, "/chat/channels/join", {"topic": room.topic})
    return room


async def _post(session: aiohttp.ClientSession, person: Person, path: str, body: Json) -> Any:
    async with session.post(path, json=body, headers=_bearer(person)) as answer:
        assert answer.status == OK, f"{path}: {answer.status} {await answer.text()}"
        return await answer.json()


def _bearer(person: Person) -> dict[str, str]:
    return {"Authorization": f"Bearer {person.token}"}


def _calls(first: int) -> Iterator[tuple[str, str]]:
    calls = (
        ("GET", "/auth/test"),
        ("GET", "/chat/channels"),
        ("POST", "/auth/refresh"),
        ("GET", "/auth/test-chat"),
        ("GET", "/notifications/test"),
        ("GET", "/chat/blocks"),
    )
    return itertools.islice(itertools.cycle(calls), first, None)


async def _use(
    session: aiohttp.ClientSession, person: Person, tally: Tally, stop: asyncio.Event, *, pace: float, first: int
) -> None:
    """Call one route after the other at a pace, and count what is not answered as it should be."""
    for method, path in _calls(first):
        if stop.is_set():
            return
        started = time.monotonic()
        tally.requests += 1
        try:
            body: Json | None = {} if method == "POST" else None
            async with session.request(method, path, headers=_bearer(person), json=body) as answer:
                text = await answer.text()
                if answer.status != OK:
                    tally.lost.append(f"{method} {path}: {answer.status} {text[:200]}")
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            tally.lost.append(f"{method} {path}: {error!r}")
        took = time.monotonic() - started
        tally.slowest = max(tally.slowest, took)
        await asyncio.sleep(max(0.0, pace - took))


class Talker:
    """Talk in a room as an app does that may lose its socket at any moment.

    A message is acknowledged by its broadcast. Of what was not, everything is said again after the socket was opened
    again, with the same id, and what others said meanwhile is asked for by the last message that was heard.

    Args:
        session: makes connections.
        person: who talks.
        topic: of the room.
        tally: where it counts.
        pause: between two messages.
    """

    def __init__(self, session: aiohttp.ClientSession, person: Person, topic: str, tally: Tally, pause: float) -> None:
        self.person = person
        self.topic = topic
        self.heard: list[tuple[int, str]] = []
        self.said: list[str] = []
        self._session = session
        self._tally = tally
        self._pause = pause
        self._mark = secrets.token_hex(4)
        self._waiting: dict[str, None] = {}
        self._moved = asyncio.Event()
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._listening: asyncio.Task[None] | None = None

    async def talk(self, stop: asyncio.Event) -> None:
        """Say one message after the other until told to stop, and wait until all are acknowledged."""
        self._listening = asyncio.create_task(self._listen())
        while not stop.is_set():
            await self._until(lambda: len(self._waiting) < WINDOW)
            text = f"{self._mark}:{len(self.said)}"
            self.said.append(text)
            self._waiting[text] = None
            self._tally.messages += 1
            await self._say(text)
            await asyncio.sleep(self._pause)
        await self._until(lambda: not self._waiting)

    async def catch_up(self, count: int) -> None:
        """Wait until so many messages were heard, or nothing comes any more."""
        with contextlib.suppress(TimeoutError):
            await self._until(lambda: len(self.heard) >= count)

    def leave(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.cancel()

    async def _until(self, fact: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not fact():
                self._moved.clear()
                if not fact():
                    await self._moved.wait()

    async def _say(self, text: str) -> None:
        if self._socket is None:
            return  # it is said once there is a socket again
        try:
            await self._push("shout", {"message": text, "id": text})
        except (ConnectionError, aiohttp.ClientError):
            return  # the same

    async def _push(self, event: str, payload: Json) -> None:
        assert self._socket is not None
        await self._socket.send_str(json.dumps(["1", event, f"room:{self.topic}", event, payload]))

    async def _listen(self) -> None:
        while True:
            try:
                await self._visit()
            except aiohttp.WSServerHandshakeError as error:
                # A process that is stopping says so, and the next attempt reaches another.
                self._tally.refused += 1
                if error.status not in (429, 502, 503, 504):
                    self._tally.faults.append(f"{self.person.name}: handshake answered {error.status}")
            except (ConnectionError, aiohttp.ClientError, TimeoutError):
                self._tally.refused += 1
            self._socket = None
            self._tally.reconnects += 1
            await asyncio.sleep(PAUSE)

    async def _visit(self) -> None:
        """Open a socket, join, and listen until it closes."""
        path = f"/chat/socket/websocket?token={self.person.token}&vsn=2.0.0"
        async with self._session.ws_connect(path, max_msg_size=0) as socket:
            last = self.heard[-1][0] if self.heard else 0
            topic = f"room:{self.topic}"
            await socket.send_str(json.dumps(["1", "join", topic, "phx_join", {"last_message_id": last}]))
            async for frame in socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    await self._take(socket, *json.loads(frame.data))

    async def _take(
        self, socket: aiohttp.ClientWebSocketResponse, _join: str, ref: str, _topic: str, event: str, payload: Json
    ) -> None:
        if event == "phx_reply" and ref == "join":
            response = payload["response"]
            if payload["status"] != "ok" or not response["recovered"]:
                self._tally.faults.append(f"{self.person.name} joined: {str(payload)[:200]}")
            for message in response.get("messages", []):
                self._hear(message)
            self._socket = socket
            for text in list(self._waiting):
                await self._say(text)
        elif event == "shout" and payload["type"] == "message":
            self._hear(payload["data"])

    def _hear(self, message: Json) -> None:
        if message["type"] != "chat":
            return
        self.heard.append((int(message["id"]), str(message["body"])))
        self._waiting.pop(str(message["body"]), None)
        self._tally.deliveries += 1
        self._moved.set()


async def _judge(session: aiohttp.ClientSession, tally: Tally, room: Room, talkers: list[Talker]) -> None:
    """See that a room's history holds everything once and in order, and that all were told so, in whichever process."""
    history = await read_history(session, room, talkers[0].person)
    texts = [text for _, text in history]
    said = {text for talker in talkers for text in talker.said}
    if missing := said - set(texts):
        tally.faults.append(f"{room.topic} lacks {len(missing)} messages: {sorted(missing)[:5]}")
    if len(texts) != len(set(texts)):
        tally.faults.append(f"{room.topic} holds {len(texts) - len(set(texts))} messages twice")
    for talker in talkers:
        own = set(talker.said)
        who = f"{talker.person.name} in {room.topic}"
        if [text for text in texts if text in own] != talker.said and not missing:
            tally.faults.append(f"{who} is out of order in the history")
        await talker.catch_up(len(history))
        _judge_heard(tally, who, talker, [number for number, _ in history])


def _judge_heard(tally: Tally, who: str, talker: Talker, stored: list[int]) -> None:
    """Judge what a person was told: everything, nothing twice, in the room's order, nothing made up."""
    numbers = [number for number, _ in talker.heard]
    if any(later <= earlier for earlier, later in itertools.pairwise(numbers)):
        tally.faults.append(f"{who} has heard messages twice or out of order")
    if missed := set(stored).difference(numbers):
        tally.faults.append(f"{who} has not heard {len(missed)} messages: {sorted(missed)[:5]}")
    if not set(stored).issuperset(numbers):
        tally.faults.append(f"{who} has heard what is not stored")


async def read_history(session: aiohttp.ClientSession, room: Room, reader: Person) -> list[tuple[int, str]]:
    """Read all that was said in a room, page by page, as an app that scrolls up."""
    found: dict[int, str] = {}
    before = ""
    while True:
        path = f"/chat/channels/{room.number}/events?last_message_id={before}"
        async with session.get(path, headers=_bearer(reader)) as answer:
            assert answer.status == OK, await answer.text()
            messages = (await answer.json())["data"]["messages"]
        if not messages:
            return sorted((number, text) for number, text in found.items() if text)
        # Who came and went is told in the same place, and is nobody's message.
        found |= {int(each["id"]): each["body"] if each["type"] == "chat" else "" for each in messages}
        before = str(min(int(each["id"]) for each in messages))
