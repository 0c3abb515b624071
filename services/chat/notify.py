"""Ask the notifications service to reach the other participants' devices, behind the chat's back.

What waits here is lost when the process ends and dropped, oldest first, when too much of it waits; a message itself
never waits for its push.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from services.chat.models import ChatMessage
from services.chat.store import PushTargets
from services.errors import RequestError

MAX_QUEUE = 1000
# Senders looked up at once, and calls under way at once.
MAX_ROUND = 32
# As many as the notifications service takes in one call.
MAX_IDENTITIES = 10_000
# A device shows a few lines, and FCM's whole payload has 4096 bytes.
MAX_BODY = 1000
CLICK_ACTION = "FLUTTER_NOTIFICATION_CLICK"

FindTargets = Callable[[Iterable[int]], Awaitable[Mapping[int, PushTargets]]]
logger = logging.getLogger(__name__)


class Post(Protocol):
    """Be the notifications service's internal port, as services.peers.Peer is."""

    async def post(self, path: str, body: object) -> object:
        """Post JSON; raise RequestError when there is no good answer."""


class Notifier:
    """Tell the other participants' devices of messages, in the background.

    Args:
        find_targets: whom a sender's message concerns, as Store.push_targets does.
        notifications: the service that reaches devices.
        on_drop: called for each message whose push is given up.
    """

    def __init__(self, find_targets: FindTargets, notifications: Post, on_drop: Callable[[], None]) -> None:
        self._find_targets = find_targets
        self._notifications = notifications
        self._on_drop = on_drop
        self._queue: deque[ChatMessage] = deque()
        self._task: asyncio.Task[None] | None = None

    def notify(self, message: ChatMessage) -> None:
        """Take a message that somebody said; it never waits."""
        if len(self._queue) >= MAX_QUEUE:
            self._queue.popleft()
            self._on_drop()
        self._queue.append(message)
        if self._task is None:
            # A context of its own: the round belongs to no request, and must not carry the id of the first.
            self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    async def close(self, seconds: float) -> None:
        """Send what waits, for so long and no longer."""
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=seconds)
            if not done:
                self._task.cancel()
                await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._queue:
                count = min(MAX_ROUND, len(self._queue))
                await self._push_round([self._queue.popleft() for _ in range(count)])
        finally:
            self._task = None

    async def _push_round(self, messages: list[ChatMessage]) -> None:
        try:
            targets = await self._find_targets(message.member_id for message in messages if message.member_id)
        except RequestError as error:
            self._give_up(len(messages), error)
            return
        except Exception as error:
            logger.exception("pushes failed")
            self._give_up(len(messages), error)
            return
        # A sender who is alone in the room has no targets.
        found = ((message, targets.get(message.member_id or 0)) for message in messages)
        failures = await asyncio.gather(*(self._push(message, whom) for message, whom in found if whom is not None))
        failed = [failure for failure in failures if failure is not None]
        if failed:
            self._give_up(len(failed), failed[0])

    async def _push(self, message: ChatMessage, targets: PushTargets) -> RequestError | None:
        text = f"{targets.sender}: {message.body}"[:MAX_BODY]
        for start in range(0, len(targets.identities), MAX_IDENTITIES):
            body = {
                "identities": targets.identities[start : start + MAX_IDENTITIES],
                "notification": {"title": targets.room, "body": text},
                "data": {"click_action": CLICK_ACTION},
            }
            try:
                await self._notifications.post("/internal/notify", body)
            except RequestError as error:
                return error
        return None

    def _give_up(self, count: int, error: Exception) -> None:
        for _ in range(count):
            self._on_drop()
        # One line a round, however many messages it had.
        logger.warning("pushes given up", extra={"fields": {"messages": count, "reason": str(error)}})
