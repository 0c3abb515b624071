"""Ask for many at once, and answer each as if it had asked alone."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from services.chat.together import MOST, Together
from services.errors import DatabaseUnavailable


class Oracle:
    """Answer when let, and keep what was asked."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.is_asked = asyncio.Event()
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def ask(self, keys: Sequence[str]) -> list[str]:
        """Shout back; "odd" cannot be asked, and "away" meets nobody."""
        self.asked.append(list(keys))
        self.is_asked.set()
        await self.may_answer.wait()
        if "away" in keys:
            raise DatabaseUnavailable("away")
        if "odd" in keys:
            raise ValueError("odd")
        return [key.upper() for key in keys]


@pytest.fixture
async def oracle() -> Oracle:
    """Make one."""
    return Oracle()


async def test_what_comes_meanwhile_goes_into_the_next_question(oracle: Oracle) -> None:
    """One question at a time, and each gets its own answer."""
    together = Together(oracle.ask)
    oracle.may_answer.clear()
    first = asyncio.create_task(together.find("a"))
    await oracle.is_asked.wait()
    rest = [asyncio.create_task(together.find(key)) for key in "bcd"]
    await asyncio.sleep(0)
    oracle.may_answer.set()

    assert await asyncio.gather(first, *rest) == ["A", "B", "C", "D"]
    assert oracle.asked == [["a"], ["b", "c", "d"]]
    assert await together.find("e") == "E"


async def settle() -> None:
    """Let whatever may go on do so; each turn of the loop is one step of it."""
    for _ in range(10):
        await asyncio.sleep(0)


async def test_where_several_ask_more_are_waited_for(oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes in the moment after a question is put together, too."""
    monkeypatch.setattr("services.chat.together.GATHER_SECONDS", 2)
    together = Together(oracle.ask)
    await asyncio.gather(*map(together.find, "ab"))
    later = []
    for key in "cd":
        later.append(asyncio.create_task(together.find(key)))
        await settle()

    assert await asyncio.gather(*later) == ["C", "D"]
    assert oracle.asked == [["a", "b"], ["c", "d"]]


async def test_who_asks_alone_waits_for_nothing(oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the first, nor who comes behind one."""
    monkeypatch.setattr("services.chat.together.GATHER_SECONDS", 3600)
    together = Together(oracle.ask)
    async with asyncio.timeout(60):
        assert [await together.find(key) for key in "abc"] == ["A", "B", "C"]


async def test_a_full_question_waits_for_nothing(oracle: Oracle, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody more would fit in."""
    monkeypatch.setattr("services.chat.together.GATHER_SECONDS", 3600)
    together = Together(oracle.ask)
    async with asyncio.timeout(60):
        await asyncio.gather(*map(together.find, map(str, range(2 * MOST))))
    assert list(map(len, oracle.asked)) == [MOST, MOST]


async def test_a_question_has_an_end(oracle: Oracle) -> None:
    """More than fit into one go into several."""
    together = Together(oracle.ask)
    keys = [f"k{number}" for number in range(2 * MOST + 1)]

    assert await asyncio.gather(*map(together.find, keys)) == [key.upper() for key in keys]
    assert [len(keys) for keys in oracle.asked] == [MOST, MOST, 1]


async def test_what_cannot_be_asked_fails_alone(oracle: Oracle) -> None:
    """Nobody else hears of a key that the database cannot read."""
    together = Together(oracle.ask)
    answers = await asyncio.gather(*map(together.find, ("a", "odd", "b")), return_exceptions=True)

    assert (answers[0], answers[2]) == ("A", "B")
    assert isinstance(answers[1], ValueError)


async def test_a_database_that_is_away_is_asked_once_for_all(oracle: Oracle) -> None:
    """All are told, and the next is asked anew."""
    together = Together(oracle.ask)
    answers = await asyncio.gather(*map(together.find, ("a", "away", "b")), return_exceptions=True)

    assert [type(answer) for answer in answers] == [DatabaseUnavailable] * 3
    assert len(oracle.asked) == 1
    assert await together.find("c") == "C"


async def test_whoever_goes_meanwhile_is_not_waited_for(oracle: Oracle) -> None:
    """The others get their answers."""
    together = Together(oracle.ask)
    oracle.may_answer.clear()
    going, staying = (asyncio.create_task(together.find(key)) for key in "ab")
    await oracle.is_asked.wait()
    going.cancel()
    oracle.may_answer.set()

    assert await staying == "B"
    assert going.cancelled()
