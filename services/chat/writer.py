"""Store what rooms are told in the order in which they are told it, many messages a commit.

A client that has seen message n and asks later for what came after n must get all of it. So within a room a message
with a greater id is never told before one with a smaller id; different rooms do not wait for each other, but share
commits: whatever arrives during one commit goes into the next.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

import asyncpg

from services.chat.doubts import Doubts, Memory
from services.chat.models import Draft, Stored
from services.errors import RequestError, Unavailable
from services.tracing import Span, current

# The time of a commit grows with its rows; at this many it is still under 2 ms.
MAX_BATCH = 128
# Other changes of a round, each on a connection of its own.
MAX_CHANGES = 4
MAX_QUEUE = 10_000

T = TypeVar("T")
Result: TypeAlias = Stored | Literal["known"] | None
StoreBatch = Callable[[Sequence[Draft]], Awaitable[list[Result]]]
# Called once, with what the store says of a message, or with the error.
Done: TypeAlias = Callable[[Result, Exception | None], None]
Publish = Callable[[str, Stored], None]
logger = logging.getLogger(__name__)


@dataclass(eq=False, slots=True)
class _Said:
    topic: str
    draft: Draft
    done: Done
    span: Span


@dataclass(eq=False, slots=True)
class _Change:
    topic: str
    work: Callable[[], Awaitable[Any]]
    done: asyncio.Future[Any]


class Writer:
    """Be the one hand that writes what rooms are told.

    Args:
        store: stores a batch, as Store.add_messages does.
        publish: tells a room, by its topic, of a stored message.
        memory: where to look up what a broken commit has stored after all.
    """

    def __init__(self, store: StoreBatch, publish: Publish, memory: Memory | None = None) -> None:
        self._store = store
        self._publish = publish
        self._doubts = Doubts(memory)
        self._queue: deque[_Said | _Change] = deque()
        self._task: asyncio.Task[None] | None = None

    async def say(self, topic: str, draft: Draft) -> Result:
        """Store a message and tell its room; what Store.add_messages says of it comes back.

        Raises:
            Unavailable: it could not be stored, or too much is waiting.
        """
        said: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def done(result: Result, error: Exception | None) -> None:
            if error is None:
                _succeed(said, result)
            else:
                _fail(said, error)

        self.take(topic, draft, done)
        return await said

    def take(self, topic: str, draft: Draft, done: Done) -> None:
        """Store a message and tell its room, and call back then; messages of one topic are called back in order.

        Raises:
            Unavailable: too much is waiting.
        """
        self._put(_Said(topic, draft, done, current()))

    async def change(self, topic: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do work that stores and tells something else, in its turn among the room's messages."""
        done: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._put(_Change(topic, work, done))
        return await done

    def __len__(self) -> int:
        return len(self._queue)

    async def close(self) -> None:
        """Finish what is waiting."""
        if self._task is not None:
            await self._task

    def _put(self, item: _Said | _Change) -> None:
        if len(self._queue) >= MAX_QUEUE:
            raise Unavailable("Too much is waiting to be stored; try again soon.", code="overloaded")
        self._queue.append(item)
        if self._task is None:
            # A context of its own: a round serves many requests, and must not carry the id of the first.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def _run(self) -> None:
        try:
            while self._queue:
                said, changes = self._take()
                if changes:
                    await asyncio.gather(self._store_all(said), *map(self._carry_out, changes))
                else:
                    await self._store_all(said)
        finally:
            self._task = None

    def _take(self) -> tuple[list[_Said], list[_Change]]:
        """Take the next round: a batch of messages, and changes of rooms of which the round has no message."""
        said: list[_Said] = []
        changes: list[_Change] = []
        spoken: set[str] = set()
        held: set[str] = set()
        rest: deque[_Said | _Change] = deque()
        while self._queue and len(said) < MAX_BATCH:
            item = self._queue.popleft()
            if item.topic in held:
                rest.append(item)
            elif isinstance(item, _Said):
                said.append(item)
                spoken.add(item.topic)
            else:
                # Whatever the room says after it has to wait for it.
                held.add(item.topic)
                fits = item.topic not in spoken and len(changes) < MAX_CHANGES
                (changes if fits else rest).append(item)
        self._queue.extendleft(reversed(rest))
        return said, changes

    async def _carry_out(self, change: _Change) -> None:
        try:
            result = await change.work()
        except Exception as error:  # noqa: BLE001  # it goes to whoever asked
            _fail(change.done, error)
        else:
            _succeed(change.done, result)

    async def _store_all(self, said: Sequence[_Said]) -> None:
        if not said:
            return
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

    async def _commit(self, said: Sequence[_Said]) -> list[Result]:
        try:
            return await self._store([item.draft for item in said])
        except RequestError:
            self._doubts.doubt(item.draft.member_id for item in said)
            raise

    async def _store_each(self, said: Sequence[_Said], error: Exception) -> None:
        """Find the message that Postgres will not have, so that it fails alone."""
        if len(said) == 1:
            logger.error("a message cannot be stored", exc_info=error)
            _call_back(said[0], None, error)
            return
        for item in said:
            await self._store_all([item])

    def _finish(self, item: _Said, result: Result) -> None:
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


def _call_back(item: _Said, result: Result, error: Exception | None) -> None:
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
