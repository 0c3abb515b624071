"""A loop that asks its database all the time stays on a core, and none pushes others off theirs."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator

import pytest

from services import scheduling
from services.scheduling import tuned

SECONDS = 60
TICK = 0.02
ONE, ALL = 1, len(os.sched_getaffinity(0))

needs_two = pytest.mark.skipif(ALL < 2, reason="NOT TESTED: this machine has one core, so there is nothing to stay on")


class Asking:
    """Count questions that are never asked.

    Attributes:
        step: how many come with every look.
    """

    def __init__(self, step: int) -> None:
        self.step = step
        self._count = 0

    def __call__(self) -> int:
        """Return how many so far."""
        self._count += self.step
        return self._count


@pytest.fixture
def moves(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """Note how many cores the loop is given each time, while it really gets them."""
    before, given = os.sched_getaffinity(0), os.sched_setaffinity
    noted: list[int] = []

    def note(pid: int, cores: set[int]) -> None:
        noted.append(len(cores))
        given(pid, cores)

    monkeypatch.setattr(os, "sched_setaffinity", note)
    yield noted
    given(0, before)


async def until(fact: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not fact():
        assert time.monotonic() < deadline
        await asyncio.sleep(TICK / 4)


@needs_two
async def test_it_stays_while_it_asks_much_and_is_let_go_afterwards(moves: list[int]) -> None:
    before = os.sched_getaffinity(0)
    asking = Asking(1000)
    async with tuned(asking, tick=TICK):
        await until(lambda: len(os.sched_getaffinity(0)) == ONE)
        (core,) = os.sched_getaffinity(0)
        assert core in before
        asking.step = 0
        await until(lambda: os.sched_getaffinity(0) == before)
        asking.step = 1000
        await until(lambda: len(os.sched_getaffinity(0)) == ONE)

    assert os.sched_getaffinity(0) == before
    assert moves[:2] == [ONE, ALL]


@needs_two
async def test_it_may_be_moved_once_in_a_while(moves: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else may need this core for good."""
    monkeypatch.setattr(scheduling, "LOOKS_ON_A_CORE", 2)
    async with tuned(Asking(1000), tick=TICK):
        await until(lambda: len(moves) > 4)

    assert moves[:5] == [ONE, ALL, ONE, ALL, ONE]


@needs_two
async def test_it_stays_on_the_core_that_it_is_on(moves: list[int]) -> None:
    """Not on the first, where everybody would meet."""
    allowed = os.sched_getaffinity(0)
    for core in allowed:
        os.sched_setaffinity(0, {core})
        assert scheduling._core() == core
    os.sched_setaffinity(0, allowed)
    assert moves == [ONE] * ALL + [ALL]


@needs_two
@pytest.mark.parametrize("step", [0, 1])
async def test_whoever_asks_little_is_left_alone(moves: list[int], step: int) -> None:
    """One a look is a few in a second."""
    asking, looks = Asking(step), 0

    def asked() -> int:
        nonlocal looks
        looks += 1
        return asking()

    async with tuned(asked, tick=0.2):
        await until(lambda: looks > 6)
        assert moves == []


@needs_two
async def test_a_sandbox_that_forbids_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """It is an advantage, and no need."""
    tried: list[set[int]] = []

    def refuse(_: int, cores: set[int]) -> None:
        tried.append(cores)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    with caplog.at_level("INFO"):
        async with tuned(Asking(1000), tick=TICK):
            await until(lambda: "scheduling is left to the system" in caplog.text)

    assert len(tried[0]) == ONE
    assert os.sched_getaffinity(0) == tried[-1]


@pytest.mark.parametrize("lacks", ["the call", "a second core"])
async def test_where_there_is_nothing_to_choose(lacks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on macOS, or in a container with one core."""
    if lacks == "the call":
        monkeypatch.delattr(os, "sched_setaffinity")
        monkeypatch.delattr(os, "sched_setscheduler")
    else:
        monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0})
    asking = Asking(1000)
    async with tuned(asking, tick=TICK):
        await asyncio.sleep(3 * TICK)

    assert asking() == asking.step, "it was looked at"


async def test_it_pushes_nobody_off_the_core_until_the_end() -> None:
    assert os.sched_getscheduler(0) == os.SCHED_OTHER
    async with tuned(Asking(0)):
        assert os.sched_getscheduler(0) == os.SCHED_BATCH
    assert os.sched_getscheduler(0) == os.SCHED_OTHER


async def test_what_somebody_chose_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """By chrt(1), or in a unit file."""
    changes: list[int] = []
    monkeypatch.setattr(os, "sched_getscheduler", lambda _: os.SCHED_IDLE)
    monkeypatch.setattr(os, "sched_setscheduler", lambda _pid, policy, _param: changes.append(policy))
    async with tuned(Asking(0)):
        pass

    assert changes == []


async def test_a_policy_that_is_refused(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(_pid: int, _policy: int, _param: os.sched_param) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "sched_setscheduler", refuse)
    with caplog.at_level("INFO"):
        async with tuned(Asking(0)):
            assert "scheduling is left to the system" in caplog.text
