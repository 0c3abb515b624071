"""Store what rooms are told in the order in which they are told it, many messages a commit.

A client that has seen message n and asks later for what came after n must get all of it. So within a room a message
with a greater id is never told before one with a smaller id; different rooms do not wait for each other, but share
commits: whatever arrives during one commit goes into the next. Where one takes long, because of a lock that is another
room's, say, the others go on in a second one. Whatever else changes a room is on its own, in the room's turn.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

import asyncpg

from services.chat.doubts import Doubts, Memory
from services.chat.models import Draft, Stored
from services.chat.turns import MAX_ROUNDS, SLOW_SECONDS, Change, Done, Result, Round, Said, Turns
from services.errors import RequestError
from services.tracing import current

T = TypeVar("T")
StoreBatch = Callable[[Sequence[Draft]], Awaitable[list[Result]]]
Publish = Callable[[str, Stored], None]
logger = logging.getLogger(__name__)


class Writer:
    """Be the one hand that writes what rooms are told.

    Args:
        store: stores a batch, as Store.add_messages does.
        publish: tells a room, by its topic, of a stored message.
        memory: where to look up what a broken commit has stored after all.

    Attributes:
        begun: how many commits so far.
    """

    def __init__(self, store: StoreBatch, publish: Publish, memory: Memory | None = None) -> None:
        self._store = store
        self._publish = publish
        self._doubts = Doubts(memory)
        self._turns = Turns()
        self._rounds: set[asyncio.Task[None]] = set()
        self._changes: set[asyncio.Task[None]] = set()
        # What they have in hand for so long that others do not wait for it.
        self._slow: set[Round] = set()
        self.begun = 0

    async def say(self, topic: str, room: int, draft: Draft) -> Result:
        """Store a message and tell its room; what Store.add_messages says of it comes back.

        Args:
            topic: "room:<topic>".
            room: its id.
            draft: the message.

        Raises:
            Unavailable: it could not be stored, or too much is waiting.
        """
        said: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def done(result: Result, error: Exception | None) -> None:
            if error is None:
                _succeed(said, result)
            else:
                _fail(said, error)

        self.take(topic, room, draft, done)
        return await said

    def take(self, topic: str, room: int, draft: Draft, done: Done) -> None:
        """Store a message and tell its room, and call back then; messages of one topic are called back in order.

        Raises:
            Unavailable: too much is waiting.
        """
        self._put(Said(topic, room, draft, done, current()))

    async def change(self, topic: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do work that stores and tells something else, in its turn among the room's messages."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(Change(topic, work, done))
        return await done

    def __len__(self) -> int:
        return len(self._turns)

    async def close(self) -> None:
        """Finish what is waiting."""
        while self._rounds or self._changes:
            await asyncio.wait(self._rounds | self._changes)

    def _put(self, item: Said | Change) -> None:
        self._turns.put(item)
        self._go_on()

    def _go_on(self) -> None:
        if not self._rounds or (self._slow and len(self._rounds) < MAX_ROUNDS):
            self._begin()

    def _begin(self) -> None:
        # A context of its own: a round serves many requests, and must not carry the id of the first.
        self._rounds.add(asyncio.create_task(self._run(), context=contextvars.Context()))

    def _note_slow(self, taken: Round) -> None:
        """Let the others go on, now and as long as this round takes."""
        self._slow.add(taken)
        if len(self._rounds) < MAX_ROUNDS:
            self._begin()

    async def _run(self) -> None:
        """Go from round to round, until all that waits is of rooms in another's hand."""
        try:
            while True:
                taken, changes = self._turns.take()
                for change in changes:
                    # Each on its own: what one waits for, a lock for example, nobody else waits for.
                    task = asyncio.create_task(self._carry_out(change), context=contextvars.Context())
                    self._changes.add(task)
                if not taken.said:
                    return
                await self._carry_out_round(taken)
        finally:
            # At once: what is put from here on needs another task.
            self._rounds.discard(cast("asyncio.Task[None]", asyncio.current_task()))

    async def _carry_out_round(self, taken: Round) -> None:
        self.begun += 1
        watch = asyncio.get_running_loop().call_later(SLOW_SECONDS, self._note_slow, taken)
        try:
            await self._store_all(taken.said)
        finally:
            watch.cancel()
            self._slow.discard(taken)
            self._turns.give_back(taken)

    async def _carry_out(self, change: Change) -> None:
        try:
            result = await change.work()
        except Exception as error:  # noqa: BLE001  # it goes to whoever asked
            _fail(change.done, error)
        else:
            _succeed(change.done, result)
        finally:
            self._turns.give_back(change)
            self._changes.discard(cast("asyncio.Task[None]", asyncio.current_task()))
            if len(self._turns):
                self._go_on()

    async def _store_all(self, said: Sequence[Said]) -> None:
        try:
            for topic, message in await self._doubts.settle():
                self._tell(topic, Stored(message))
            results = await self._commit(said)
        except (asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            await self._store_each(said, error)
        except Exception as error:  # noqa: BLE001  # it goes to whoever asked
            for item in said:
                _call_back(item, None, error)
        else:
            for item, result in zip(said, results, strict=True):
                self._finish(item, result)

    async def _commit(self, said: Sequence[Said]) -> list[Result]:
        told = self._doubts.told
        try:
            return await self._store([item.draft for item in said])
        except RequestError:
            self._doubts.doubt((item.draft.member_id for item in said), told)
            raise

    async def _store_each(self, said: Sequence[Said], error: Exception) -> None:
        """Find the message that Postgres will not have, so that it fails alone."""
        if len(said) == 1:
            logger.error("a message cannot be stored", exc_info=error)
            _call_back(said[0], None, error)
            return
        for item in said:
            await self._store_all([item])

    def _finish(self, item: Said, result: Result) -> None:
        if isinstance(result, Stored):
            item.span.event("stored")
            self._tell(item.topic, result)
            item.span.event("told")
        _call_back(item, result, None)

    def _tell(self, topic: str, stored: Stored) -> None:
        self._doubts.tell(stored.message)
        try:
            self._publish(topic, stored)
        except Exception:
            # It is stored, and whoever missed it fetches it; the messages behind it must not suffer.
            logger.exception("a room could not be told")


def _call_back(item: Said, result: Result, error: Exception | None) -> None:
    try:
        item.done(result, error)
    except Exception:
        # The others of the commit must be called back all the same.
        logger.exception("whoever said a message could not be told")


def _succeed(done: asyncio.Future[Any], result: Any) -> None:
    if not done.done():
        done.set_result(result)


def _fail(done: asyncio.Future[Any], error: Exception) -> None:
    # Whoever asked may have been cancelled meanwhile.
    if not done.done():
        done.set_exception(error)
