"""Gather for a moment, a topic at a time."""

from __future__ import annotations

import asyncio

import pytest

from services.chat.errors import Refusal
from services.chat.features.doors import Pace, refusing
from services.chat.features.gathering import Gathering
from services.errors import Invalid, NotFound, TooManyRequests


async def test_many_touches_end_in_one_call_a_topic() -> None:
    """Call back once a moment, again while something is left, and never after the end."""
    calls: list[str] = []
    done = asyncio.Event()

    def flush(topic: str) -> bool:
        calls.append(topic)
        if len(calls) == 4:
            done.set()
        return topic == "b" and calls.count("b") < 3

    gathering = Gathering(flush, seconds=0.001)
    for _ in range(10):
        gathering.touch("a")
        gathering.touch("b")
    await asyncio.wait_for(done.wait(), 60)
    assert sorted(calls) == ["a", "b", "b", "b"]

    gathering.touch("a")
    gathering.close()
    await asyncio.sleep(0.01)
    assert calls.count("a") == 1


def test_a_pace_is_each_persons_own() -> None:
    """Let the count through at once, then say how long to wait."""
    pace = Pace(2)
    for who in ("ada", "ada", "bob", 7):
        pace.check(who)

    with pytest.raises(TooManyRequests) as refused:
        pace.check("ada")
    assert refused.value.retry_after == 30
    pace.check("bob")


def test_a_refusal_becomes_an_answer() -> None:
    """Tell who takes no part no more than a stranger."""
    with pytest.raises(NotFound), refusing():
        raise Refusal("unauthorized")
    with pytest.raises(Invalid, match="message must be a string"), refusing():
        raise Refusal("message must be a string")
