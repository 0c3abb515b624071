"""Have two commits under way at once, of different rooms, with a store whose every commit ends when it is told to."""

from __future__ import annotations

import asyncio
import random
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

import pytest

from services.chat import writer
from services.chat.models import ChatMessage, Draft, Stored
from services.chat.turns import MAX_BATCH, MAX_CHANGES, MAX_ROUNDS, SLOW_SECONDS, Result
from services.chat.writer import Writer
from services.errors import DatabaseUnavailable

LONG_AGO = datetime(2026, 1, 1)  # noqa: DTZ001  # naive, as the database has it
MANY = ["1", "2", "3"]


class Commit:
    """Be one commit under way: its ids are given, and whether and how it ends is the test's to say."""

    def __init__(self, messages: list[ChatMessage]) -> None:
        self.messages = messages
        self.ended: asyncio.Future[bool] = asyncio.get_running_loop().create_future()

    @property
    def bodies(self) -> list[str]:
        """What it stores."""
        return [message.body for message in self.messages]


class Ledger:
    """Store in memory, and remember what was stored, as a database does whose answers get lost."""

    def __init__(self) -> None:
        self.under_way: list[Commit] = []
        self.stored: list[ChatMessage] = []
        self.may_be_asked = asyncio.Event()
        self.may_be_asked.set()
        self.asked = asyncio.Event()
        self._newest = 0

    async def newest_message(self) -> int:
        """Be Table.newest_message."""
        return max((message.id for message in self.stored), default=0)

    async def said_since(self, member_ids: Sequence[int], message_id: int) -> list[tuple[str, ChatMessage]]:
        """Be Table.said_since; the topic of a member's room is its name."""
        self.asked.set()
        await self.may_be_asked.wait()
        found = [one for one in self.stored if one.member_id in member_ids and one.id > message_id]
        return [(chr(one.member_id or 0), one) for one in sorted(found, key=lambda one: one.id)]

    async def add(self, drafts: Sequence[Draft]) -> list[Result]:
        """Be Store.add_messages."""
        messages = []
        for draft in drafts:
            self._newest += 1
            messages.append(ChatMessage(self._newest, LONG_AGO, 1, draft.member_id, "chat", draft.body, ()))
        commit = Commit(messages)
        self.under_way.append(commit)
        try:
            is_told = await commit.ended
        finally:
            self.under_way.remove(commit)
        self.stored += messages
        if not is_told:
            raise DatabaseUnavailable("The answer is lost.")
        return [Stored(message) for message in messages]


@pytest.fixture
async def ledger() -> Ledger:
    return Ledger()


class Hall:
    """Speak in rooms that have a letter each, and remember what they were told."""

    def __init__(self, ledger: Ledger) -> None:
        self.told: list[str] = []
        self.ids: dict[str, list[int]] = defaultdict(list)
        self.writer = Writer(ledger.add, self._hear, ledger)

    def say(self, topic: str, *bodies: str, room: int = 0) -> list[asyncio.Task[Result]]:
        """Say something in the background; a room has one member."""
        drafts = [Draft(ord(topic), body) for body in bodies]
        return [asyncio.create_task(self.writer.say(topic, room or ord(topic), draft)) for draft in drafts]

    def _hear(self, topic: str, stored: Stored) -> None:
        self.told.append(f"{topic}{stored.message.body}")
        self.ids[topic].append(stored.message.id)


async def turns() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(20):
        await asyncio.sleep(0)


async def under_way(ledger: Ledger, count: int) -> None:
    """Wait until so many commits are under way: a second one is begun where the first takes long."""
    async with asyncio.timeout(60):
        while len(ledger.under_way) < count:  # noqa: ASYNC110  # it is a list
            await asyncio.sleep(SLOW_SECONDS / 10)


async def test_another_room_is_stored_meanwhile_and_the_same_one_is_not(ledger: Ledger) -> None:
    """While a commit takes long, one of other rooms is under way, and whatever comes next; there is no third."""
    hall = Hall(ledger)
    saying = hall.say("a", "first")
    await turns()
    saying += hall.say("a", *MANY)
    await turns()
    assert [commit.bodies for commit in ledger.under_way] == [["first"]]
    saying += hall.say("b", *MANY)
    saying += hall.say("c", *MANY)
    await under_way(ledger, 2)
    first, second = ledger.under_way
    assert second.bodies == [*MANY, *MANY]
    saying += hall.say("d", "not now")
    await turns()
    assert len(ledger.under_way) == MAX_ROUNDS
    second.ended.set_result(True)
    await turns()
    assert hall.told == [*(f"b{one}" for one in MANY), *(f"c{one}" for one in MANY)]
    assert [commit.bodies for commit in ledger.under_way] == [["first"], ["not now"]]
    ledger.under_way[1].ended.set_result(True)
    await turns()
    saying += hall.say("e", "at once")
    await turns()
    assert [commit.bodies for commit in ledger.under_way] == [["first"], ["at once"]]
    ledger.under_way[1].ended.set_result(True)
    first.ended.set_result(True)
    await turns()
    assert [commit.bodies for commit in ledger.under_way] == [MANY]
    ledger.under_way[0].ended.set_result(True)
    await asyncio.gather(*saying)
    assert [one for one in hall.told if one.startswith("a")] == ["afirst", *(f"a{one}" for one in MANY)]


async def test_a_change_is_alone_with_its_room(ledger: Ledger) -> None:
    """What is said behind it waits for it, and it waits for what was said before; however long, other rooms do not."""
    hall = Hall(ledger)
    may_end = asyncio.Event()

    async def work() -> None:
        await may_end.wait()
        hall.told.append("achanged")

    saying = hall.say("a", "before")
    await turns()
    changing = asyncio.create_task(hall.writer.change("a", work))
    may_end.set()
    saying += hall.say("b", *MANY)
    await turns()
    assert hall.told == []
    may_end.clear()
    ledger.under_way[0].ended.set_result(True)
    await turns()
    saying += hall.say("a", *MANY)
    saying += hall.say("c", "meanwhile")
    await under_way(ledger, 2)
    assert [commit.bodies for commit in ledger.under_way] == [MANY, ["meanwhile"]]
    assert hall.told == ["abefore"]
    may_end.set()
    await changing
    ledger.under_way[1].ended.set_result(True)
    await turns()
    assert [commit.bodies for commit in ledger.under_way] == [MANY, MANY]
    for commit in tuple(ledger.under_way):
        commit.ended.set_result(True)
    await asyncio.gather(*saying)
    assert hall.told[:2] == ["abefore", "achanged"]


async def test_a_change_that_takes_long_holds_up_no_other_room(ledger: Ledger) -> None:
    """Not even one whose message was taken in hand with it."""
    hall = Hall(ledger)
    may_end = asyncio.Event()

    async def work() -> None:
        await may_end.wait()

    changing = asyncio.create_task(hall.writer.change("a", work))
    saying = hall.say("b", "with it")
    for body, following in pairwise(("with it", "next", "last")):
        await turns()
        assert [commit.bodies for commit in ledger.under_way] == [[body]]
        saying += hall.say("b", following)
        ledger.under_way[0].ended.set_result(True)
    await turns()
    closing = asyncio.create_task(hall.writer.close())
    await turns()
    ledger.under_way[0].ended.set_result(True)
    await asyncio.gather(*saying)
    await turns()
    assert not closing.done()
    may_end.set()
    await asyncio.gather(changing, closing)


async def test_so_many_changes_are_under_way_and_no_more(ledger: Ledger) -> None:
    """Each has a connection, and others need some; what other rooms say meanwhile is stored all the same."""
    hall = Hall(ledger)
    begun: list[str] = []
    may_end = asyncio.Event()

    def change(topic: str) -> asyncio.Task[None]:
        async def work() -> None:
            begun.append(topic)
            await may_end.wait()

        return asyncio.create_task(hall.writer.change(topic, work))

    changing = [change(topic) for topic in "abcdefgh"]
    saying = hall.say("z", "meanwhile")
    await under_way(ledger, 1)
    ledger.under_way[0].ended.set_result(True)
    await turns()
    saying += hall.say("y", "later")
    await under_way(ledger, 1)
    assert begun == list("abcdefgh")[:MAX_CHANGES]
    may_end.set()
    ledger.under_way[0].ended.set_result(True)
    await asyncio.gather(*changing, *saying)
    assert begun == list("abcdefgh")


async def test_a_room_that_got_another_topic_is_the_same_room(ledger: Ledger) -> None:
    """What is said under the new one waits for what was said under the old one."""
    hall = Hall(ledger)
    saying = hall.say("a", "old", room=7)
    await turns()
    saying += hall.say("b", *MANY, room=7)
    saying += hall.say("c", "another room's")
    await under_way(ledger, 2)
    assert [commit.bodies for commit in ledger.under_way] == [["old"], ["another room's"]]
    for _ in range(2):
        for commit in tuple(ledger.under_way):
            commit.ended.set_result(True)
        await turns()
    await asyncio.gather(*saying)
    assert [one for one in hall.told if one[0] != "c"] == ["aold", *(f"b{one}" for one in MANY)]


async def test_a_room_that_never_stops_has_its_turn_and_no_more(ledger: Ledger) -> None:
    """However much of it waits, what another room says is stored meanwhile."""
    hall = Hall(ledger)
    saying = hall.say("a", *map(str, range(5 * MAX_BATCH)))
    await turns()
    saying += hall.say("b", "one")
    await under_way(ledger, 2)
    first, second = ledger.under_way
    assert len(first.bodies) == MAX_BATCH
    assert second.bodies == ["one"]
    while ledger.under_way:
        ledger.under_way[0].ended.set_result(True)
        await turns()
    await asyncio.gather(*saying)


async def test_what_a_lost_answer_stored_is_told_once_though_newer_ids_were_told_meanwhile(ledger: Ledger) -> None:
    """The other commit has greater ids, and ended first."""
    hall = Hall(ledger)
    lost = hall.say("a", "lost")
    await turns()
    told = hall.say("b", *MANY)
    await under_way(ledger, 2)
    first, second = ledger.under_way
    second.ended.set_result(True)
    await asyncio.gather(*told)
    first.ended.set_result(False)
    assert [type(one) for one in await asyncio.gather(*lost, return_exceptions=True)] == [DatabaseUnavailable]

    saying = hall.say("a", "next")
    await turns()
    ledger.under_way[0].ended.set_result(True)
    await asyncio.gather(*saying)
    assert hall.told == [*(f"b{one}" for one in MANY), "alost", "anext"]


async def test_two_commits_that_settle_one_doubt_tell_it_once(ledger: Ledger) -> None:
    """Both begin while it is open, and both ask."""
    hall = Hall(ledger)
    saying = hall.say("a", "lost")
    await turns()
    ledger.may_be_asked.clear()
    ledger.under_way[0].ended.set_result(False)
    await turns()
    saying += hall.say("a", "next")
    await turns()
    saying += hall.say("b", *MANY)
    await ledger.asked.wait()
    await asyncio.sleep(2 * SLOW_SECONDS)
    assert ledger.under_way == []
    ledger.may_be_asked.set()
    await under_way(ledger, MAX_ROUNDS)
    for commit in tuple(ledger.under_way):
        commit.ended.set_result(True)
    await asyncio.gather(*saying, return_exceptions=True)
    assert hall.told.count("alost") == 1
    assert [one for one in hall.told if one.startswith("a")] == ["alost", "anext"]


async def test_two_doubts_are_settled_each_from_where_it_began(ledger: Ledger) -> None:
    """The second is come into while the first is being settled; what was told of its room before is not told again."""
    hall = Hall(ledger)
    saying = hall.say("b", "before")
    await turns()
    ledger.under_way[0].ended.set_result(True)
    await turns()
    saying += hall.say("a", "lost")
    await turns()
    saying += hall.say("b", *MANY)
    await under_way(ledger, 2)
    first, second = ledger.under_way
    ledger.may_be_asked.clear()
    first.ended.set_result(False)
    saying += hall.say("a", *MANY)
    await ledger.asked.wait()
    assert ledger.under_way == [second]
    second.ended.set_result(False)
    await turns()
    saying += hall.say("b", "next")
    ledger.may_be_asked.set()
    for _ in range(3):
        await turns()
        for commit in tuple(ledger.under_way):
            commit.ended.set_result(True)
    await asyncio.gather(*saying, return_exceptions=True)
    assert [one for one in hall.told if one.startswith("a")] == ["alost", *(f"a{one}" for one in MANY)]
    assert [one for one in hall.told if one.startswith("b")] == ["bbefore", *(f"b{one}" for one in MANY), "bnext"]


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_ends_first_a_room_hears_all_in_the_order_of_ids(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Of many rooms, whose commits end in any order, some without an answer, nothing is lost, doubled or late."""
    monkeypatch.setattr(writer, "SLOW_SECONDS", 0)
    chance = random.Random(seed)  # noqa: S311  # no secret
    hall = Hall(ledger)
    saying = []
    for number in range(300):
        saying += hall.say(chance.choice("abcdef"), str(number))
        for _ in range(chance.randrange(4)):
            await asyncio.sleep(0)
        if ledger.under_way and chance.random() < 0.3:
            chance.choice(ledger.under_way).ended.set_result(chance.random() < 0.8)
            await asyncio.sleep(0)
    while ledger.under_way:
        ledger.under_way[0].ended.set_result(True)
        await turns()
    # Each room's next message settles what its last one may have left in doubt.
    for topic in "abcdef":
        saying += hall.say(topic, "end")
    await turns()
    while ledger.under_way:
        ledger.under_way[0].ended.set_result(True)
        await turns()
    await asyncio.gather(*saying, return_exceptions=True)

    for topic, ids in hall.ids.items():
        assert ids == sorted(one.id for one in ledger.stored if one.member_id == ord(topic))
    assert sum(map(len, hall.ids.values())) == len(ledger.stored) == 306
    await hall.writer.close()
    assert len(hall.writer) == 0
