"""Let a replica call its roll for the one who asks, and ask whoever was not wholly heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import msgspec
import pytest

from services.chat.bus import Arrived
from services.chat.bus.frames import Frame, Roll, decode_frame, encode_note
from services.chat.bus.replicas import DEAD_SECONDS, Replicas
from tests.services.chat.bus.ear import Ear
from tests.services.chat.bus.test_order import TOPIC, Table
from tests.services.chat.bus.test_shared import Carrier, CarrierLink, Replica

ADA = Arrived(TOPIC, "ada", 1, 11, 0)
SECONDS = 60


@pytest.fixture
def carrier() -> Carrier:
    """Carry every frame to everybody."""
    return Carrier()


async def until(condition: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(SECONDS):
        while not condition():  # noqa: ASYNC110  # it is no event of ours
            await asyncio.sleep(0.001)


async def test_a_roll_is_read_by_the_one_who_asked_alone(carrier: Carrier) -> None:
    """Everybody is brought it, and of many replicas each has thousands with it."""
    table = Table()
    old, other = Replica(carrier, table), Replica(carrier, table)
    for replica in (old, other):
        replica.up()
    old.bus.publish(ADA)
    await until(lambda: other.present == [ADA])
    ear = Ear()
    carrier.links.append(CarrierLink(carrier, None, hearer=ear))

    new = Replica(carrier, table)
    new.up()
    await until(lambda: new.present == [ADA])

    over = encode_note(Roll(is_over=True))
    rolls = [frame for frame in map(decode_frame, ear.frames) if over in frame.notes and frame.origin != new.bus.origin]
    assert {(frame.origin, frame.to) for frame in rolls} <= {(by.bus.origin, new.bus.origin) for by in (old, other)}
    assert rolls


async def test_what_is_for_another_is_not_read(carrier: Carrier) -> None:
    """But that its replica lives, and what it counts, is."""
    here = Replica(carrier, Table())
    note = encode_note(ADA)

    here.bus.receive(msgspec.json.encode(Frame("b", 1, notes=[note], to="somebody else")))
    assert (here.present, here.bus.count_replicas()) == ([], 2)

    here.bus.receive(msgspec.json.encode(Frame("b", 2, notes=[note], to=here.bus.origin)))
    assert (here.present, here.rechecks) == ([ADA], 0)


async def test_who_missed_an_arrival_asks_for_the_roll(carrier: Carrier) -> None:
    """Nobody else has to come for it to be mended."""
    table = Table()
    here, there = Replica(carrier, table), Replica(carrier, table)
    for replica in (here, there):
        replica.up()
    await until(lambda: here.bus.count_replicas() == there.bus.count_replicas() == 2)
    here.bus._replicas._replicas[there.bus.origin].asked_at = -DEAD_SECONDS
    carrier.links.remove(here.link)
    there.bus.publish(ADA)
    await until(lambda: not there.bus._waiting)
    carrier.links.append(here.link)
    assert here.present == []

    there.bus.publish(Arrived(TOPIC, "bob", 2, 12, 0))

    await until(lambda: ADA in here.present)


class TestPartial:
    """Hear a replica, "b", with a clock of one's own."""

    def setup_method(self) -> None:
        """Begin where "b" is new."""
        self.now = 100.0
        self.replicas = Replicas(lambda _: None, lambda: None, clock=lambda: self.now)

    def asks(self, origin: str, number: int) -> bool:
        """Hear a frame, and say whether its replica is asked for its roll."""
        self.replicas.hear(origin, number)
        return self.replicas.must_ask(origin)

    def test_who_is_new_and_has_not_spoken_before_is_not_asked(self) -> None:
        """Nor who comes in a row, or twice, or without a number."""
        assert not any(self.asks("b", number) for number in (0, 1, 2, 2, 0, 3))
        self.now += DEAD_SECONDS
        assert not self.asks("b", 4)

    def test_who_is_new_and_has_spoken_before_is_asked_if_no_roll_comes(self) -> None:
        """It is on its way after our own Hello."""
        for origin in ("b", "c"):
            assert not self.asks(origin, 7)
        self.replicas.take("c", Roll(is_over=False))
        self.now += DEAD_SECONDS

        assert [self.asks("b", 8), self.asks("c", 8)] == [True, False]

    def test_a_loss_is_asked_for_at_once_and_the_next_one_later(self) -> None:
        """A roll that is lost in part must not ask for itself again and again."""
        self.asks("b", 1)
        self.now += DEAD_SECONDS
        assert self.asks("b", 3)
        assert not self.asks("b", 5)
        self.now += DEAD_SECONDS

        assert self.asks("b", 6)
        self.now += DEAD_SECONDS
        assert not self.asks("b", 7)
