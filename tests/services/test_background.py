from __future__ import annotations

import asyncio

import pytest

from services.background import beside


async def test_work_goes_on_beside_a_block_and_ends_with_it() -> None:
    """What it has to put away is put away by then."""
    said: list[str] = []

    async def work() -> None:
        said.append("begun")
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            said.append("ended")

    async with beside(work()):
        await asyncio.sleep(0)
        said.append("block")

    assert said == ["begun", "block", "ended"]


async def test_work_that_failed_is_told_at_the_end_of_the_block() -> None:
    """And not before: the block is worth more."""
    said: list[str] = []

    async def fail() -> None:
        said.append("failed")
        raise ValueError("broken")

    async def block() -> None:
        async with beside(fail()):
            await asyncio.sleep(0)
            said.append("block")

    with pytest.raises(ValueError, match="broken"):
        await block()
    assert said == ["failed", "block"]


async def test_who_ends_the_block_from_outside_is_obeyed() -> None:
    """Also while the work takes its time to end."""
    stubborn = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await stubborn.wait()

    async def block() -> None:
        async with beside(work()):
            await asyncio.sleep(0)

    task = asyncio.create_task(block())
    for _ in range(3):
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.wait([task], timeout=60)
    stubborn.set()

    assert task.cancelled()
