"""Hand over what is in the outbox: bounded, in words that a device shows, and never in a message's way."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import aiohttp
import asyncpg
from prometheus_client import CollectorRegistry
from yarl import URL

from services.chat import dispatcher as subject
from services.chat.dispatcher import Dispatcher, OutboxMetrics, build_notices
from services.chat.outbox import Audience, Claim, Outbox, Row, Said
from services.errors import DatabaseUnavailable, PeerUnavailable
from tests.services.chat.conftest import ChatService
from tests.services.chat.test_socket import two_in_a_room

SECONDS = 60
ROOM = Audience("one", "One", frozenset({"ada", "bob"}))


def said(number: int, **changes: Any) -> Said:
    """Make a message of Ada's."""
    fields = {"channel_id": 1, "body": str(number), "author": "ada", "sender": "Ada", "deaf": frozenset()}
    return Said(id=number, **{**fields, **changes})


class TestNotices:
    def test_a_notice_names_room_sender_and_text(self) -> None:
        """The key makes it one, whoever hands it over and however often."""
        [notice] = build_notices(said(7), {1: ROOM}, {"bob": 3, "eve": 9})

        assert notice == {
            "key": "message:7",
            "collapse_key": "room:1",
            "rank": 7,
            "identities": ["bob"],
            "badges": {"bob": 3},
            "notification": {"title": "One", "body": "Ada: 7"},
            "data": {
                "click_action": "FLUTTER_NOTIFICATION_CLICK",
                "channel_id": "1",
                "message_id": "7",
                "topic": "one",
            },
        }

    def test_nobody_to_tell_is_no_notice(self) -> None:
        """Neither oneself nor whom one is blocked by."""
        assert list(build_notices(said(7, deaf=frozenset({"bob"})), {1: ROOM}, {})) == []

    def test_a_crowd_is_told_in_parts(self) -> None:
        """Under the same key."""
        crowd = Audience("one", "One", frozenset(f"u{n}" for n in range(1200)))

        parts = list(build_notices(said(7), {1: crowd}, {}))

        assert [len(part["identities"]) for part in parts] == [500, 500, 200]
        assert {part["key"] for part in parts} == {"message:7"}


class HeldOutbox:
    """Be an outbox whose rows are one message each, and which can fail."""

    def __init__(self) -> None:
        self.waiting: list[Row] = []
        self.cleared: list[int] = []
        self.put_offs: list[tuple[int, float]] = []
        self.errors: list[Exception] = []
        self.poison: set[int] = set()

    async def claim(self) -> Claim:
        """Take all."""
        if self.errors:
            raise self.errors.pop()
        rows, self.waiting = self.waiting, []
        return Claim(rows, {1: ROOM}, is_full=False)

    async def read(self, message_ids: list[int]) -> list[Said]:
        """Make messages up."""
        if self.poison.intersection(message_ids):
            raise asyncpg.DataError("poison")
        return [said(number) for number in message_ids]

    async def badges(self, _identities: object) -> dict[str, int]:
        """Nobody has any."""
        return {}

    async def clear(self, rows: list[Row]) -> None:
        """Remember."""
        self.cleared += [row.id for row in rows]

    async def put_off(self, rows: list[Row], seconds: float) -> None:
        """Remember, and let time pass at once for all but poison."""
        self.put_offs += [(row.id, seconds) for row in rows]
        self.waiting += [row for row in rows if row.id not in self.poison]

    async def count(self) -> tuple[int, float]:
        """Count."""
        return len(self.waiting), 0.0


class TestDispatcher:
    """Hold the dispatcher to its bounds."""

    def setup_method(self) -> None:
        """Make a dispatcher before a service that can be held and broken."""
        self.keys: list[str] = []
        self.errors: list[Exception] = []
        self.refused: set[str] = set()
        self.calls = 0
        self.outbox = HeldOutbox()
        self.registry = CollectorRegistry()
        self.dispatcher = Dispatcher(cast("Outbox", self.outbox), self, OutboxMetrics(self.registry))

    async def post(self, path: str, body: Any) -> object:
        """Be the notifications service."""
        assert path == "/internal/notify/batch"
        self.calls += 1
        if self.errors:
            raise self.errors.pop()
        keys = [notice["key"] for notice in body["notifications"]]
        if self.refused.intersection(keys):
            raise PeerUnavailable("no") from refusal(422)
        self.keys += keys
        return {}

    async def settle(self, *numbers: int) -> None:
        """Run until these rows are cleared."""
        self.dispatcher.start()
        async with asyncio.timeout(SECONDS):
            while not set(numbers) <= set(self.outbox.cleared):  # noqa: ASYNC110  # there is no event
                await asyncio.sleep(0.01)
        await self.dispatcher.close(5)

    async def test_many_rows_are_one_call(self) -> None:
        """In the order of their messages."""
        self.outbox.waiting = [Row(number, [number], 0) for number in range(1, 51)]
        await self.settle(*range(1, 51))

        assert self.keys == [f"message:{number}" for number in range(1, 51)]
        assert self.calls == 1
        assert self.registry.get_sample_value("stampchat_pushes_handed_over_total") == 50

    async def test_what_fails_is_tried_again(self, monkeypatch: Any) -> None:
        """Outlive a database and a service that are away, and a bug, and lose nothing."""
        monkeypatch.setattr(subject, "FIRST_SECONDS", 0.001)
        self.outbox.waiting = [Row(1, [1], 0), Row(2, [2], 0)]
        self.outbox.errors = [DatabaseUnavailable("away"), ZeroDivisionError("a bug")]
        self.errors = [PeerUnavailable("away"), PeerUnavailable("away")]
        await self.settle(1, 2)

        assert self.keys == ["message:1", "message:2"]
        assert {row for row, _ in self.outbox.put_offs} == {1, 2}
        assert self.registry.get_sample_value("stampchat_push_handover_failures_total") == 4

    async def test_one_that_is_refused_does_not_hold_up_the_others(self) -> None:
        """It is found among them, said, and given up."""
        self.outbox.waiting = [Row(1, list(range(1, 10)), 0)]
        self.refused = {"message:4"}
        await self.settle(1)

        assert self.keys == [f"message:{number}" for number in range(1, 10) if number != 4]
        assert self.registry.get_sample_value("stampchat_pushes_dropped_total") == 1
        assert self.registry.get_sample_value("stampchat_pushes_handed_over_total") == 8

    async def test_a_poisoned_row_waits_longer_and_longer_and_alone(self) -> None:
        """The others are handed over."""
        self.outbox.waiting = [Row(1, [1], 0), Row(2, [2], 6), Row(3, [3], 0)]
        self.outbox.poison = {2}
        await self.settle(1, 3)

        assert self.keys == ["message:1", "message:3"]
        [(row, seconds)] = self.outbox.put_offs
        assert row == 2
        assert 32 <= seconds <= 64

    async def test_a_stopping_process_hands_over_what_is_there_but_not_for_ever(self) -> None:
        """What does not end in time is another process's."""
        self.dispatcher.start()
        await asyncio.sleep(0)
        self.outbox.waiting = [Row(1, [1], 0)]
        await self.dispatcher.close(5)
        assert self.keys == ["message:1"]

        held = asyncio.Event()

        async def claim() -> Claim:
            await held.wait()
            raise AssertionError

        self.outbox.claim = claim  # type: ignore[method-assign]
        self.dispatcher = Dispatcher(cast("Outbox", self.outbox), self, OutboxMetrics(CollectorRegistry()))
        self.dispatcher.start()
        await self.dispatcher.close(0.05)


def refusal(status: int) -> aiohttp.ClientResponseError:
    """Make what aiohttp raises for a status."""
    info = aiohttp.RequestInfo(URL("http://n"), "POST", cast("Any", {}), URL("http://n"))
    return aiohttp.ClientResponseError(info, (), status=status)


async def test_who_is_looking_gets_no_push(chat: ChatService, notifications: Any) -> None:
    """A joined socket is enough; when it is gone, the next message is pushed."""
    ada, bob, room, topic = await two_in_a_room(chat)
    cy = await chat.meet("Cy")
    await cy.post("/channels/join", {"topic": room["topic"]})
    hers, his = await ada.enter(room), await bob.enter(room)

    await hers.shout(topic, "one")
    first = await asyncio.wait_for(notifications.arrived.get(), SECONDS)
    assert (await his.heard(topic))["body"] == "one"
    await his.ask(topic, "phx_leave", {})
    await hers.shout(topic, "two")
    second = await asyncio.wait_for(notifications.arrived.get(), SECONDS)

    assert (first["notification"]["body"], first["identities"]) == ("Ada: one", [cy.identity])
    assert (second["notification"]["body"], second["identities"]) == ("Ada: two", sorted([bob.identity, cy.identity]))


async def test_notifications_away_delays_no_message_and_loses_no_push(chat: ChatService, notifications: Any) -> None:
    """What was said meanwhile is handed over when it is back, each message once."""
    ada, _, room, topic = await two_in_a_room(chat)
    notifications.status = 503
    hers = await ada.enter(room)
    for number in range(20):
        assert (await hers.shout(topic, str(number)))["body"] == str(number)
    assert notifications.calls == []

    notifications.status = 200

    keys: set[str] = set()
    async with asyncio.timeout(SECONDS):
        while len(keys) < 20:
            keys.add((await notifications.arrived.get())["key"])
    connection = await asyncpg.connect(chat.database.url.reveal())
    async with asyncio.timeout(SECONDS):
        while await connection.fetchval("SELECT count(*) FROM push_outbox"):  # noqa: ASYNC110  # the database has no event
            await asyncio.sleep(0.01)
    await connection.close()
