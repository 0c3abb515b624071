"""Hold a connection between two questions, on a real Postgres."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import asyncpg
import pytest

from services import kept as subject
from services.database import open_database
from services.errors import DatabaseUnavailable
from services.settings import DatabaseSettings

WHO = "SELECT pg_backend_pid() AS pid"


async def test_two_questions_are_asked_over_one_connection(database: DatabaseSettings) -> None:
    """Those that are asked at once each have one, and one of them is held."""
    async with open_database(database) as opened:
        kept = opened.keep()
        [first] = await kept.fetch(WHO)
        async with opened.connection() as other:
            assert await other.fetchval(WHO) != first["pid"]
        [second] = await kept.fetch(WHO)
        assert first["pid"] == second["pid"]

        both = await asyncio.gather(kept.fetch(WHO), kept.fetch(WHO))
        assert len({rows[0]["pid"] for rows in both}) == 2
        assert opened.count() == (1, 1)
    assert opened.count() == (0, 0)


async def test_what_nobody_asks_goes_back(database: DatabaseSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Soon after the last question, so that the pool is whole again."""
    monkeypatch.setattr(subject, "IDLE_SECONDS", 0.01)
    async with open_database(database) as opened:
        await opened.keep().fetch(WHO)
        async with asyncio.timeout(60):
            while opened.count() != (0, 1):  # noqa: ASYNC110  # a pool has no event
                await asyncio.sleep(0.01)


async def test_the_last_connection_is_not_held(database: DatabaseSettings) -> None:
    """A pool of one has others who wait for it."""
    async with open_database(replace(database, pool_size=1)) as opened:
        await opened.keep().fetch(WHO)
        assert opened.count() == (0, 1)


async def test_a_connection_that_is_cut_is_not_asked_again(database: DatabaseSettings) -> None:
    """While it is held, the next question has another; in the middle of a question it fails as any other does."""
    async with open_database(database) as opened:
        kept = opened.keep()
        [row] = await kept.fetch(WHO)
        other = await asyncpg.connect(database.url.reveal())
        await other.fetchval("SELECT pg_terminate_backend($1::int, 60000)", row["pid"])
        await other.close()
        # The farewell has been sent; it is read in one of the next turns.
        await asyncio.sleep(0.1)
        assert (await kept.fetch(WHO))[0]["pid"] != row["pid"]

        with pytest.raises(DatabaseUnavailable):
            await kept.fetch("SELECT pg_terminate_backend(pg_backend_pid())")
        assert (await kept.fetch(WHO))[0]["pid"]


async def test_a_mistake_of_ours_stays_one(database: DatabaseSettings) -> None:
    """It is not taken for an absent database, and the next question is well."""
    async with open_database(database) as opened:
        kept = opened.keep()
        with pytest.raises(asyncpg.UndefinedTableError):
            await kept.fetch("SELECT * FROM nowhere")
        assert await kept.fetch(WHO)
