"""Order what rooms are told, with a store that can be held, slowed and broken."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Any

import asyncpg
import pytest

from services.chat.models import ChatMessage, Draft, Stored
from services.chat.turns import MAX_BATCH
from services.chat.writer import Writer
from services.errors import DatabaseUnavailable

LONG_AGO = datetime(2026, 1, 1)  # noqa: DTZ001  # naive, as the database has it


class HeldStore:
    """Store nothing, but only when it is let; remember the batches."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.may_go = asyncio.Event()
        self.may_go.set()
        self.error: Exception | None = None
        self.left: list[tuple[str, ChatMessage]] = []
        self._id = 0

    async def newest_message(self) -> int:
        """Be Table.newest_message."""
        return self._id

    async def said_since(self, member_ids: Sequence[int], message_id: int) -> list[tuple[str, ChatMessage]]:
        """Be Table.said_since: what a broken commit left, if it did."""
        found = [(topic, message) for topic, message in self.left if message.member_id in member_ids]
        return [(topic, message) for topic, message in found if message.id > message_id]

    async def add(self, drafts: Sequence[Draft]) -> list[Any]:
        """Be Store.add_messages."""
        self.batches.append([draft.body for draft in drafts])
        await self.may_go.wait()
        # A database is never done at once, as a change of this test is.
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        if any(draft.body == "bad" for draft in drafts):
            raise asyncpg.DataError("invalid input")
        results: list[Any] = []
        for draft in drafts:
            self._id += 1
            message = ChatMessage(self._id, LONG_AGO, 1, draft.member_id, "chat", draft.body, ())
            results.append(Stored(message) if draft.member_id else None)
        return results


class TestWriter:
    """Hold the writer to its order."""

    def setup_method(self) -> None:
        """Make a writer that remembers what it tells."""
        self.told: list[str] = []
        self.store = HeldStore()
        self.writer = Writer(
            self.store.add, lambda topic, stored: self.told.append(f"{topic}:{stored.message.body}"), self.store
        )

    def say(self, topic: str, body: str, member_id: int = 1) -> asyncio.Task[Any]:
        """Say something in the background."""
        return asyncio.create_task(self.writer.say(topic, ord(topic), Draft(member_id, body)))

    def change(self, topic: str, name: str) -> asyncio.Task[Any]:
        """Change something in the background."""

        async def work() -> str:
            self.told.append(f"{topic}:{name}")
            return name

        return asyncio.create_task(self.writer.change(topic, work))

    async def test_what_arrives_during_a_commit_shares_the_next(self) -> None:
        """Store one, then all that came meanwhile, in order, up to a batch."""
        self.store.may_go.clear()
        first = self.say("a", "0")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = [self.say("a", str(number)) for number in range(1, MAX_BATCH + 2)]
        await asyncio.sleep(0)
        self.store.may_go.set()
        await asyncio.gather(first, *rest)

        assert [len(batch) for batch in self.store.batches] == [1, MAX_BATCH, 1]
        assert [line.split(":")[1] for line in self.told] == [str(number) for number in range(MAX_BATCH + 2)]

    async def test_a_change_keeps_its_turn_in_its_room(self) -> None:
        """Tell a room what was said before, then the change, then what was said after; other rooms do not wait."""
        self.store.may_go.clear()
        first = self.say("z", "held")
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        rest = [self.say("a", "1"), self.change("a", "joined"), self.say("a", "2"), self.say("b", "1")]
        await asyncio.sleep(0)
        self.store.may_go.set()
        await asyncio.gather(first, *rest)

        assert self.store.batches == [["held"], ["1", "1"], ["2"]]
        assert [line for line in self.told if line.startswith("a")] == ["a:1", "a:joined", "a:2"]

    async def test_one_bad_message_fails_alone(self) -> None:
        """Find the message that Postgres will not have."""
        results = await asyncio.gather(
            self.say("a", "1"), self.say("a", "bad"), self.say("a", "2"), return_exceptions=True
        )

        assert isinstance(results[1], asyncpg.DataError)
        assert self.told == ["a:1", "a:2"]

    async def test_a_database_that_is_away_fails_all_and_is_asked_again(self) -> None:
        """Tell nobody what is not stored, and go on when it is back."""
        self.store.error = DatabaseUnavailable("away")
        results = await asyncio.gather(self.say("a", "1"), self.say("a", "2"), return_exceptions=True)
        self.store.error = None

        assert [type(result) for result in results] == [DatabaseUnavailable, DatabaseUnavailable]
        assert self.told == []
        assert (await self.say("a", "3")) is not None
        assert self.told == ["a:3"]

    async def test_who_stops_waiting_does_not_stop_the_message(self) -> None:
        """Store and tell what was taken in, though its sender is gone."""
        self.store.may_go.clear()
        gone, stays = self.say("a", "1"), self.say("a", "2")
        await asyncio.sleep(0)
        gone.cancel()
        await asyncio.sleep(0)
        self.store.may_go.set()
        await stays

        assert self.told == ["a:1", "a:2"]

    async def test_a_change_that_fails_fails_for_its_asker_only(self) -> None:
        """Hand the error back and go on."""

        async def work() -> None:
            raise ValueError("no")

        with pytest.raises(ValueError, match="no"):
            await self.writer.change("a", work)
        await self.say("a", "1")

        assert self.told == ["a:1"]
        await self.writer.close()

    async def test_what_a_broken_commit_stored_after_all_is_told_before_anything_newer(self) -> None:
        """Once, in its room, and only of those whose commit was in doubt."""
        await self.say("a", "one")
        self.store.error = DatabaseUnavailable("The database does not answer.")
        with pytest.raises(DatabaseUnavailable):
            await self.say("a", "two", 7)
        self.store.left = [
            ("a", ChatMessage(50, LONG_AGO, 1, 7, "chat", "two", ())),
            ("a", ChatMessage(51, LONG_AGO, 1, 8, "chat", "another's", ())),
        ]
        self.store.error = None

        await self.say("a", "three", 9)
        await self.say("a", "four", 7)

        assert self.told == ["a:one", "a:two", "a:three", "a:four"]

    async def test_a_commit_that_stored_nothing_leaves_nothing_to_tell(self) -> None:
        """A first message that fails, too, when nothing was told before."""
        self.store.error = DatabaseUnavailable("The database does not answer.")
        with pytest.raises(DatabaseUnavailable):
            await self.say("a", "one")
        self.store.error = None

        await self.say("a", "two")

        assert self.told == ["a:two"]
