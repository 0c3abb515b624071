"""Tell a room its messages once and in order, behind a bus that does its worst."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from datetime import datetime

import pytest

from services.chat.bus import UNKNOWN, Cut, RoomNote, Told, tell_message
from services.chat.bus import order as subject
from services.chat.bus.order import Order
from services.chat.models import ChatMessage
from services.errors import DatabaseUnavailable

LONG_AGO = datetime(2026, 1, 1)  # noqa: DTZ001  # naive, as the database has it
ROOM = 5
TOPIC = "room:a"


class Table:
    """Be the messages of rooms, and count who asks."""

    def __init__(self) -> None:
        self.messages: list[ChatMessage] = []
        self.asked: list[list[tuple[int, int]]] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.errors: list[Exception] = []

    def add(self, *ids: int, room: int = ROOM) -> None:
        """Store messages."""
        self.messages += [ChatMessage(one, LONG_AGO, room, 1, "chat", str(one), ()) for one in ids]

    async def read(self, rooms: Sequence[tuple[int, int]], most: int) -> list[ChatMessage]:
        """Be Table.messages_after_each, of the moment in which it was asked."""
        self.asked.append(list(rooms))
        found = [
            message
            for room, last in rooms
            for message in [one for one in self.messages if one.channel_id == room and one.id > last][:most]
        ]
        await self.may_go.wait()
        if self.errors:
            raise self.errors.pop()
        return found


async def settled(condition: Callable[[], bool]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not condition():  # noqa: ASYNC110  # it has no event
            await asyncio.sleep(0.001)


class TestOrder:
    """Hold an order to its word."""

    def setup_method(self) -> None:
        """Make one that remembers what it tells, in a room that has come to message 10."""
        self.heard: list[RoomNote] = []
        self.table = Table()
        self.order = Order(self.heard.append, self.table.read, tell_message)

    @pytest.fixture(autouse=True)
    async def _begin(self) -> None:
        self.order.reached(TOPIC, ROOM, 10)

    def take(self, message_id: int, after: int, *, room: int = ROOM) -> None:
        """Bring a message."""
        self.order.take(tell_message(TOPIC, ChatMessage(message_id, LONG_AGO, room, 1, "chat", "", ()), after))

    @property
    def ids(self) -> list[int]:
        """Return what was told."""
        return [note.message_id for note in self.heard if isinstance(note, Told)]

    async def told(self, *ids: int) -> None:
        """Wait until so much is told, and no more."""
        await settled(lambda: len(self.ids) >= len(ids))
        assert self.ids == list(ids)

    async def test_what_comes_in_order_is_told_at_once(self) -> None:
        """The table is not asked."""
        self.take(11, 10)
        self.take(14, 11)

        assert self.ids == [11, 14]
        assert self.table.asked == []

    async def test_what_comes_twice_is_told_once(self) -> None:
        """And what the room had before anybody listened here, never."""
        for message_id, after in ((11, 10), (11, 10), (9, 8), (12, 11), (11, 10)):
            self.take(message_id, after)

        assert self.ids == [11, 12]

    async def test_what_comes_early_waits_for_what_is_late(self) -> None:
        """Without asking the table, if it comes within a moment."""
        self.take(13, 12)
        self.take(12, 11)
        self.take(13, 12)
        assert self.ids == []

        self.take(11, 10)

        assert self.ids == [11, 12, 13]
        assert self.table.asked == []

    async def test_what_never_comes_is_read(self) -> None:
        """A moment after the gap was seen, with all that is newer."""
        self.table.add(11, 12, 13)

        self.take(13, 12)

        await self.told(11, 12, 13)
        self.take(14, 13)
        assert self.ids == [11, 12, 13, 14]
        assert self.table.asked == [[(ROOM, 10)]]

    async def test_what_comes_during_a_query_is_told_after_it(self) -> None:
        """In its order, whether or not the answer has it."""
        self.table.add(11, 12)
        self.table.may_go.clear()
        self.order.hint(ROOM, 12)
        await asyncio.sleep(0)
        self.take(13, 12)
        self.table.add(13, 14)
        self.take(14, 13)

        self.table.may_go.set()

        await self.told(11, 12, 13, 14)

    async def test_a_hint_during_a_query_needs_another(self) -> None:
        """The first one may have been before what the second speaks of."""
        self.table.add(11)
        self.table.may_go.clear()
        self.order.hint(ROOM, 11)
        await asyncio.sleep(0)
        self.table.add(12)
        self.order.hint(ROOM, 12)

        self.table.may_go.set()

        await self.told(11, 12)
        assert len(self.table.asked) == 2

    async def test_a_message_without_its_predecessor_is_read(self) -> None:
        """Nobody knows where it belongs."""
        self.table.add(11, 12)

        self.take(12, UNKNOWN)

        await self.told(11, 12)

    async def test_a_table_that_is_away_is_asked_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """For as long as it takes."""
        monkeypatch.setattr(subject, "RETRY_SECONDS", 0.01)
        self.table.errors = [DatabaseUnavailable("away") for _ in range(3)]
        self.table.add(11)

        self.order.recover()

        await self.told(11)
        assert len(self.table.asked) == 4

    async def test_more_than_one_answer_holds_is_asked_for_again(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Until there is no more."""
        monkeypatch.setattr(subject, "READ_MESSAGES", 3)
        self.table.add(*range(11, 19))

        self.order.recover()

        await self.told(*range(11, 19))

    async def test_many_rooms_share_queries(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """So many at once."""
        monkeypatch.setattr(subject, "READ_ROOMS", 4)
        for room in range(100, 110):
            self.order.reached(f"room:{room}", room, 0)
            self.table.add(room * 1000, room=room)

        self.order.recover()

        await settled(lambda: len(self.ids) == 10)
        assert max(map(len, self.table.asked)) == 4

    async def test_what_is_about_a_message_waits_for_it(self) -> None:
        """An edit that comes before its message would be lost on whoever sees it."""
        self.table.add(11)
        edit = Told(TOPIC, "edit", {})
        self.take(12, 11)
        self.order.pass_on(edit)
        self.order.pass_on(Cut("room:b", "ada"))
        assert self.heard == [Cut("room:b", "ada")]

        self.take(11, 10)

        assert self.ids == [11, 12, 0]
        assert self.heard[-1] is edit

    async def test_a_room_is_begun_by_the_first_and_ended_by_the_last(self) -> None:
        """Who joins later does not make others miss what is between; who joins anew misses nothing either."""
        self.order.reached(TOPIC, ROOM, 12)
        self.take(11, 10)
        assert self.ids == [11]

        self.order.forget(TOPIC)
        self.table.add(12, 13)
        self.take(12, 11)
        self.take(13, 12)
        assert self.ids == [11]
        assert len(self.order) == 0
        # Seen before message 13, and said only now.
        self.order.reached(TOPIC, ROOM, 12)

        await self.told(11, 13)

    async def test_a_listener_that_fails_does_not_hold_up_the_room(self) -> None:
        """The next message is told all the same."""
        order = Order(_raise, self.table.read, tell_message)
        order.reached(TOPIC, ROOM, 10)
        for message_id in (11, 12):
            order.take(tell_message(TOPIC, ChatMessage(message_id, LONG_AGO, ROOM, 1, "chat", "", ()), message_id - 1))
        order.hint(ROOM, 12)

        assert order._rooms[ROOM].told == 12

    async def test_any_disorder_ends_in_order(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Shuffled, doubled and thinned out, with hints between, many times over."""
        monkeypatch.setattr(subject, "GAP_SECONDS", 0.001)
        dice = random.Random(4)  # noqa: S311  # no secret
        last = 10
        for _ in range(60):
            ids = list(range(last + 1, last + 1 + dice.randint(1, 12)))
            self.table.add(*ids)
            sent = [one for one in ids * 2 if dice.random() < 0.6]
            dice.shuffle(sent)
            for message_id in sent:
                self.take(message_id, message_id - 1)
                if dice.random() < 0.1:
                    await asyncio.sleep(0)
            last = ids[-1]
            self.order.hint(ROOM, last)
            if dice.random() < 0.3:
                await asyncio.sleep(0.002)

        await self.told(*range(11, last + 1))


def _raise(_note: RoomNote) -> None:
    raise RuntimeError("a listener failed")
