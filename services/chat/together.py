"""Ask for many at once: whatever is asked while one question is under way goes into the next.

After a restart everybody joins at once. A question for each costs the database and us a round trip, and most of what a
join takes; one for a hundred costs hardly more than one for one. So where several ask, the next question waits a
moment for more of them.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from services.errors import RequestError

# Of one question: its answer is a few kilobytes, and those who come meanwhile do not wait long.
MOST = 128
# For how long those who ask gather where several did; who asks alone, or on a quiet service, waits for nothing.
GATHER_SECONDS = 0.002

K = TypeVar("K")
V = TypeVar("V")


class Together(Generic[K, V]):
    """Put questions together.

    Args:
        ask: answers several, each in its place.
    """

    def __init__(self, ask: Callable[[Sequence[K]], Awaitable[Sequence[V]]]) -> None:
        self._ask = ask
        self._waiting: list[tuple[K, asyncio.Future[V]]] = []
        self._task: asyncio.Task[None] | None = None

    async def find(self, key: K) -> V:
        """Return the answer to one question, asked after this call began.

        Raises:
            Exception: whatever asking raised.
        """
        answer: asyncio.Future[V] = asyncio.get_running_loop().create_future()
        self._waiting.append((key, answer))
        if self._task is None:
            # A context of its own: a question serves many requests.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())
        return await answer

    async def _run(self) -> None:
        try:
            while self._waiting:
                asked, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._answer(asked)
                if len(asked) > 1 and len(self._waiting) < MOST:
                    await asyncio.sleep(GATHER_SECONDS)
        finally:
            self._task = None

    async def _answer(self, asked: Sequence[tuple[K, asyncio.Future[V]]]) -> None:
        try:
            found = await self._ask([key for key, _ in asked])
        except Exception as error:  # noqa: BLE001  # it goes to whoever asked
            if isinstance(error, RequestError) or len(asked) == 1:
                for _, answer in asked:
                    if not answer.done():
                        answer.set_exception(error)
                return
            # One of them is what the database cannot read; the others must not suffer.
            for one in asked:
                await self._answer([one])
        else:
            for (_, answer), value in zip(asked, found, strict=True):
                # Whoever asked may have gone meanwhile.
                if not answer.done():
                    answer.set_result(value)
