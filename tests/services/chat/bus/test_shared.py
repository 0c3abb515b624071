"""Share notes between replicas over a carrier that may do its worst with frames."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from services.chat.bus import Arrived, Cut, Gone, PresenceNote, RoomNote, Told, tell_message
from services.chat.bus import order as ordering
from services.chat.bus.frames import Frame, Stored
from services.chat.bus.link import Hearer
from services.chat.bus.order import Order
from services.chat.bus.shared import SharedBus
from services.chat.models import ChatMessage
from services.database import Connection
from tests.services.chat.bus.test_order import LONG_AGO, ROOM, TOPIC, Table, settled

WHISPER = Told(TOPIC, "whisper", {"typing": True}, is_fleeting=True)
EDIT = Told(TOPIC, "edit", {"data": 1})


@dataclass
class Carrier:
    """Stand in for what carries frames: it hands them on at the loop's next turn, and may do worse.

    Attributes:
        links: of the replicas.
        spoil: makes something else of what was to be carried.
    """

    links: list[CarrierLink] = field(default_factory=list)
    spoil: random.Random | None = None

    def carry(self, frame: bytes) -> None:
        """Bring a frame to everybody who is up."""
        for link in self.links:
            copies = 1 if self.spoil is None else self.spoil.choice((0, 1, 1, 2))
            for _ in range(copies):
                delay = 0.0 if self.spoil is None else self.spoil.random() * 0.02
                asyncio.get_running_loop().call_later(delay, link.bring, frame)


@dataclass
class CarrierLink:
    """Be a link of the stand-in."""

    carrier: Carrier
    notified: str | None
    max_bytes: int = 7999
    hearer: Hearer | None = None
    kept: list[bytes] = field(default_factory=list)

    def send(self, frame: bytes) -> None:
        """Send, or keep."""
        if self.hearer is None:
            self.kept.append(frame)
        else:
            self.carrier.carry(frame)

    def bring(self, frame: bytes) -> None:
        """Hand over what comes while the link is up."""
        if self.hearer is not None:
            self.hearer.receive(frame)

    async def announce(self, connection: Connection, frames: Sequence[bytes]) -> None:
        """Do nothing: these tests store nothing."""

    async def run(self, hearer: Hearer) -> None:
        """Wait to be ended; the test opens and closes it."""
        del hearer
        await asyncio.Event().wait()

    async def check(self) -> None:
        """Be well."""

    async def close(self) -> None:
        """Have nothing to send."""


class Twice(random.Random):
    """Spoil a carrier so that it brings everything twice."""

    def choice(self, seq: object) -> Any:
        """Be the number of copies."""
        del seq
        return 2

    def random(self) -> float:
        """Be the delay."""
        return 0.0


class Replica:
    """Be a replica with somebody in the room.

    Args:
        carrier: to the others.
        table: where all of them store.
        notified: whether commits tell of themselves.
    """

    def __init__(self, carrier: Carrier, table: Table, *, notified: bool = True) -> None:
        self.link = CarrierLink(carrier, "test" if notified else None)
        carrier.links.append(self.link)
        self.heard: list[RoomNote] = []
        self.present: list[PresenceNote] = []
        self.rechecks = 0
        self.order = Order(self.heard.append, table.read, tell_message)
        self.bus = SharedBus(self.link, self.heard.append, self.order)
        self.bus.present = self.present.append
        self.bus.recheck = self._recheck
        self.bus.reached(TOPIC, ROOM, 0)

    def _recheck(self) -> None:
        self.rechecks += 1

    def up(self) -> None:
        """Open its link."""
        self.link.hearer = self.bus
        self.bus.opened()
        kept, self.link.kept = self.link.kept, []
        for frame in kept:
            self.link.carrier.carry(frame)

    def down(self) -> None:
        """Close its link."""
        self.link.hearer = None
        self.bus.closed()

    @property
    def ids(self) -> list[int]:
        """Return the messages that were told."""
        return [note.message_id for note in self.heard if isinstance(note, Told) and note.message_id]

    @property
    def events(self) -> list[str]:
        """Return what else was told."""
        return [note.event for note in self.heard if isinstance(note, Told) and not note.message_id]


class TestThree:
    """Have three replicas, all up."""

    @pytest.fixture(autouse=True)
    async def _begin(self) -> AsyncIterator[None]:
        self.table = Table()
        self.carrier = Carrier()
        self.replicas = [Replica(self.carrier, self.table) for _ in range(3)]
        for replica in self.replicas:
            replica.up()
        await self.rest()
        yield
        for replica in self.replicas:
            await replica.order.close()

    async def rest(self) -> None:
        """Let everything arrive."""
        for _ in range(3):
            await asyncio.sleep(0.001)

    def store(self, message_id: int, by: int) -> None:
        """Store a message on a replica, whose commit tells the others."""
        self.table.add(message_id)
        replica = self.replicas[by]
        message = ChatMessage(message_id, LONG_AGO, ROOM, 1, "chat", str(message_id), ())
        stored = Stored(ROOM, message_id, message_id - 1, 1, str(message_id), None, LONG_AGO)
        self.carrier.carry(msgspec.json.encode(Frame(replica.bus.origin, stored=[stored])))
        replica.bus.publish(tell_message(TOPIC, message, message_id - 1))

    async def test_they_hear_of_each_other(self) -> None:
        """And of nobody twice."""
        assert [replica.bus.count_replicas() for replica in self.replicas] == [3, 3, 3]

    async def test_a_whisper_is_told_here_at_once_and_there_once(self) -> None:
        """It does not come back."""
        self.replicas[0].bus.publish(WHISPER)
        assert self.replicas[0].events == ["whisper"]

        await self.rest()

        assert [replica.events for replica in self.replicas] == [["whisper"]] * 3

    async def test_a_change_is_told_by_the_bus_to_everybody(self) -> None:
        """To who made it as well, so that two changes end up in one order."""
        self.replicas[0].bus.publish(EDIT)
        self.replicas[1].bus.publish(Told(TOPIC, "delete", {}))
        assert self.replicas[0].events == []

        await self.rest()

        assert self.replicas[0].events == self.replicas[1].events == self.replicas[2].events
        assert sorted(self.replicas[0].events) == ["delete", "edit"]

    async def test_what_comes_twice_is_told_once(self) -> None:
        """A link sends again what it did not see come back; a stamp would be thrown twice."""
        self.carrier.spoil = Twice()
        self.replicas[0].bus.publish(EDIT)
        self.replicas[1].bus.publish(WHISPER)
        self.replicas[2].bus.publish(Told(TOPIC, "delete", "x" * 20_000))
        self.store(1, 0)

        await self.rest()

        for replica in self.replicas:
            assert sorted(replica.events) == ["delete", "edit", "whisper"]
            assert replica.ids == [1]

    async def test_what_comes_behind_a_later_one_is_told_all_the_same(self) -> None:
        """Once; what was left out is asked of the table meanwhile."""
        held: list[bytes] = []
        one, other = self.replicas[0], self.replicas[1]
        carry, self.carrier.carry = self.carrier.carry, held.append  # type: ignore[assignment,method-assign]
        one.bus.publish(EDIT)
        await self.rest()
        one.bus.publish(Told(TOPIC, "delete", {}))
        await self.rest()
        self.carrier.carry = carry  # type: ignore[method-assign]
        before = other.rechecks

        for frame in (*reversed(held), *held):
            other.link.bring(frame)

        await settled(lambda: len(other.events) == 2)
        await self.rest()
        assert (len(held), sorted(other.events), other.rechecks) == (2, ["delete", "edit"], before + 1)

    async def test_without_a_link_a_change_is_told_here_at_once(self) -> None:
        """And to the others when it is back; here it is not told again."""
        self.replicas[0].down()
        self.replicas[0].bus.publish(EDIT)
        assert self.replicas[0].events == ["edit"]

        self.replicas[0].up()
        await self.rest()

        assert [replica.events for replica in self.replicas] == [["edit"]] * 3

    async def test_what_was_missed_is_looked_for_when_the_link_is_back(self) -> None:
        """Messages in the table, and who may still listen."""
        self.replicas[2].down()
        for message_id in (1, 2, 3):
            self.store(message_id, 0)
        await self.rest()
        assert self.replicas[2].ids == []
        before = self.replicas[2].rechecks

        self.replicas[2].up()

        await settled(lambda: self.replicas[2].ids == [1, 2, 3])
        assert self.replicas[2].rechecks == before + 1

    async def test_who_comes_later_is_told_who_is_here(self) -> None:
        """And who goes is gone for everybody, by a word or with the whole replica."""
        ada, bob = Arrived(TOPIC, "ada", 1, 11, 0), Arrived(TOPIC, "bob", 2, 22, 0)
        self.replicas[0].bus.publish(ada)
        self.replicas[1].bus.publish(bob)
        await self.rest()
        late = Replica(self.carrier, self.table)
        late.up()
        await self.rest()
        assert sorted(late.present, key=repr) == [ada, bob]

        self.replicas[0].bus.publish(Gone(TOPIC, 11))
        await self.replicas[1].bus.close()
        await self.rest()

        assert sorted(note.ref for note in late.present if isinstance(note, Gone)) == [11, 22]
        assert late.bus.count_replicas() == 3
        await late.order.close()

    async def test_a_large_note_arrives_whole(self) -> None:
        """In pieces, whatever is between them."""
        text = "\N{SNOWMAN}" * 20_000
        self.replicas[0].bus.publish(Told(TOPIC, "whisper", text, is_fleeting=True))
        self.replicas[1].bus.publish(Cut("room:b", "ada"))

        await self.rest()

        (told,) = [note for note in self.replicas[2].heard if isinstance(note, Told)]
        assert msgspec.json.decode(told.payload) == text

    async def test_a_newer_version_may_add_to_what_it_says(self, caplog: pytest.LogCaptureFixture) -> None:
        """Fields that this one does not know are left, in a frame, in a note and in a stored message."""
        other = self.replicas[1]
        self.table.add(1)
        other.bus.receive(
            b'{"o":"newer","n":1,"later":{"a":[1]},'
            b'"k":[["t","room:a","edit",{"data":1},0,-1,0,0,false,"more",7],["c","room:b","ada",5,null]],'
            b'"s":[[5,1,0,1,"1",null,"2026-01-01T00:00:00",{"more":1}]]}'
        )

        await self.rest()

        assert other.ids == [1]
        assert other.events == ["edit"]
        assert Cut("room:b", "ada", 5) in other.heard
        assert caplog.text.count("a newer replica") == 0

    async def test_what_cannot_be_read_harms_nobody(self, caplog: pytest.LogCaptureFixture) -> None:
        """Nor does what a newer version says, of which the log speaks once."""
        self.replicas[0].bus.publish(EDIT)
        for frame in (b"", b"\xff", b"{}", b'{"o":"x","k":[["zz"],["t",1]]}', b'{"o":"x","s":[[1]]}'):
            self.replicas[1].bus.receive(frame)

        await self.rest()

        assert self.replicas[1].events == ["edit"]
        assert caplog.text.count("a newer replica said something") == 1

    @pytest.mark.parametrize("seed", range(5))
    async def test_a_carrier_at_its_worst_changes_no_messages(self, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
        """Frames that are lost, doubled and late, and links that go down: everybody is told all, once and in order."""
        monkeypatch.setattr(ordering, "GAP_SECONDS", 0.005)
        dice = random.Random(seed)  # noqa: S311  # no secret
        self.carrier.spoil = dice
        for message_id in range(1, 201):
            self.store(message_id, dice.randrange(3))
            if dice.random() < 0.3:
                await asyncio.sleep(dice.random() * 0.004)
            if dice.random() < 0.05:
                replica = dice.choice(self.replicas)
                replica.down()
                replica.up()
        self.carrier.spoil = None
        # A sign of life with the number after those that were lost.
        for replica in self.replicas:
            replica.bus.publish(WHISPER)
        self.store(201, 0)

        await settled(lambda: all(len(replica.ids) >= 201 for replica in self.replicas))
        assert [replica.ids for replica in self.replicas] == [list(range(1, 202))] * 3
