"""Hand messages over to the notifications service, for the devices of those who are not looking.

A message never waits for its push: it is in the outbox once it is stored, and all that follows happens here.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Any, Protocol

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge

from services.chat.outbox import LEASE_SECONDS, Audience, Claim, Outbox, Row, Said
from services.errors import RequestError

# For rows that a crash, or another process, has left.
POLL_SECONDS = 2.0
# What a busy room says within a moment is claimed at once; a push that comes so much later is none the worse for it.
GATHER_SECONDS = 0.2
FIRST_SECONDS = 1.0
MOST_SECONDS = 30.0
MOST_ROW_SECONDS = 600.0
# Messages whose texts are held at once.
MAX_GROUP = 500
# Of one call: a few hundred kilobytes.
MAX_NOTICES = 100
MAX_IDENTITIES = 500
COUNT_SECONDS = 5.0
CLICK_ACTION = "FLUTTER_NOTIFICATION_CLICK"
PATH = "/internal/notify/batch"
# What says that the very notice is at fault, and not the moment.
_AT_FAULT = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNPROCESSABLE_ENTITY})

logger = logging.getLogger(__name__)


class Post(Protocol):
    """Be the notifications service's internal port, as services.peers.Peer is."""

    async def post(self, path: str, body: object) -> object:
        """Post JSON; raise RequestError when there is no good answer."""


class OutboxMetrics:
    """Hold the outbox's series; docs/pushes.md says what each means.

    Args:
        registry: of the service's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.rows = Gauge("stampchat_push_outbox_rows", "Commits whose pushes wait.", registry=registry)
        self.late = Gauge("stampchat_push_outbox_late_seconds", "How overdue the oldest is.", registry=registry)
        self.handed_over = Counter("stampchat_pushes_handed_over_total", "Messages handed over.", registry=registry)
        self.failures = Counter("stampchat_push_handover_failures_total", "Rounds that failed.", registry=registry)
        self.refused = Counter("stampchat_pushes_dropped_total", "Messages not pushed.", registry=registry)


class Dispatcher:
    """Empty the outbox, a claim at a time; while the other side is away, more and more seldom.

    Args:
        outbox: what is to be handed over.
        notifications: the service that reaches devices.
        metrics: where it is counted.
    """

    def __init__(self, outbox: Outbox, notifications: Post, metrics: OutboxMetrics) -> None:
        self._outbox = outbox
        self._notifications = notifications
        self._metrics = metrics
        self._bell = asyncio.Event()
        self._is_closing = False
        self._failures = 0
        self._count_at = 0.0
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin."""
        # A context of its own: no round belongs to a request.
        self._task = asyncio.create_task(self._run(), context=contextvars.Context())

    def wake(self, _message: object = None) -> None:
        """Say that something was stored; it never waits."""
        self._bell.set()

    async def close(self, seconds: float) -> None:
        """Hand over what waits, for so long and no longer; the rest is another process's."""
        self._is_closing = True
        self._bell.set()
        if self._task is not None:
            done, _ = await asyncio.wait([self._task], timeout=seconds)
            if not done:
                self._task.cancel()
                await asyncio.wait([self._task])

    async def _run(self) -> None:
        while True:
            is_last = self._is_closing
            self._bell.clear()
            started = time.monotonic()
            is_full = await self._round()
            elapsed = time.monotonic() - started
            if is_last and (not is_full or self._failures):
                return
            if self._failures:
                await self._sleep(_jittered(FIRST_SECONDS * 2**self._failures, MOST_SECONDS))
                continue
            if not is_full:
                await self._wait(POLL_SECONDS)
            # It takes no more than half of what there is, whatever goes on.
            await self._sleep(max(GATHER_SECONDS, elapsed))

    async def _round(self) -> bool:
        """Hand over one claim; return whether there may be more."""
        try:
            claim = await self._outbox.claim()
            await self._hand_over_all(claim)
            await self._measure()
        except RequestError as error:
            self._fail(error)
            return False
        except Exception as error:
            logger.exception("handing pushes over failed")
            self._fail(error)
            return False
        self._failures = 0
        return claim.is_full

    def _fail(self, error: Exception) -> None:
        self._failures = min(self._failures + 1, 10)
        self._metrics.failures.inc()
        logger.warning("pushes wait", extra={"fields": {"reason": str(error)}})

    async def _hand_over_all(self, claim: Claim) -> None:
        # What is left when the lease may end soon is another round's.
        until = time.monotonic() + LEASE_SECONDS / 2
        rows = list(claim.rows)
        while rows:
            group = _take_group(rows)
            try:
                if time.monotonic() > until:
                    await self._outbox.put_off([*group, *rows], 0)
                    return
                await self._hand_over_group(group, claim)
            except RequestError:
                await self._outbox.put_off([*group, *rows], _jittered(FIRST_SECONDS, FIRST_SECONDS))
                raise

    async def _hand_over_group(self, group: Sequence[Row], claim: Claim) -> None:
        try:
            await self._hand_over([one for row in group for one in row.message_ids], claim.audiences)
        except RequestError:
            raise
        except Exception:
            if len(group) > 1:
                # One of them is poison: the others must not suffer.
                for row in group:
                    await self._hand_over_group([row], claim)
                return
            logger.exception("a row of the outbox cannot be handed over", extra={"fields": {"row": group[0].id}})
            self._metrics.failures.inc()
            wait = min(MOST_ROW_SECONDS, FIRST_SECONDS * 2 ** min(group[0].attempts, 20))
            await self._outbox.put_off(group, _jittered(wait, MOST_ROW_SECONDS))
            return
        await self._outbox.clear(group)

    async def _hand_over(self, message_ids: Sequence[int], audiences: dict[int, Audience]) -> None:
        said = await self._outbox.read(message_ids)
        away = {one for message in said for one in audiences[message.channel_id].away}
        badges = await self._outbox.badges(away)
        notices = (notice for message in said for notice in build_notices(message, audiences, badges))
        for chunk in _chunks(notices):
            await self._post(chunk)

    async def _post(self, notices: list[dict[str, Any]]) -> None:
        try:
            await self._notifications.post(PATH, {"notifications": notices})
        except RequestError as error:
            if not _is_at_fault(error):
                raise
            if len(notices) > 1:
                middle = len(notices) // 2
                await self._post(notices[:middle])
                await self._post(notices[middle:])
                return
            self._metrics.refused.inc()
            logger.exception("a push was refused", extra={"fields": {"key": notices[0]["key"]}})
        else:
            self._metrics.handed_over.inc(len({notice["key"] for notice in notices}))

    async def _measure(self) -> None:
        if time.monotonic() >= self._count_at:
            self._count_at = time.monotonic() + COUNT_SECONDS
            rows, late_seconds = await self._outbox.count()
            self._metrics.rows.set(rows)
            self._metrics.late.set(late_seconds)

    async def _wait(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._bell.wait()
        except TimeoutError:
            pass

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the process stops."""
        until = time.monotonic() + seconds
        while not self._is_closing and (left := until - time.monotonic()) > 0:  # noqa: ASYNC110  # two ends
            await asyncio.sleep(min(left, 0.5))


def build_notices(message: Said, audiences: dict[int, Audience], badges: dict[str, int]) -> Iterator[dict[str, Any]]:
    """Build what the notifications service is asked to tell of one message: nothing when nobody is to hear of it."""
    audience = audiences[message.channel_id]
    identities = sorted(audience.away - message.deaf - {message.author})
    for start in range(0, len(identities), MAX_IDENTITIES):
        part = identities[start : start + MAX_IDENTITIES]
        yield {
            "key": f"message:{message.id}",
            "collapse_key": f"room:{message.channel_id}",
            "rank": message.id,
            "identities": part,
            "badges": {identity: badges[identity] for identity in part if identity in badges},
            "notification": {"title": audience.name, "body": f"{message.sender}: {message.body}"},
            "data": {
                "click_action": CLICK_ACTION,
                "channel_id": str(message.channel_id),
                "message_id": str(message.id),
                "topic": audience.topic,
            },
        }


def _take_group(rows: list[Row]) -> list[Row]:
    """Take rows off the front, with about as many messages as may be held."""
    count = messages = 0
    while count < len(rows) and (not count or messages + len(rows[count].message_ids) <= MAX_GROUP):
        messages += len(rows[count].message_ids)
        count += 1
    group, rows[:] = rows[:count], rows[count:]
    return group


def _chunks(notices: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    identities = 0
    for notice in notices:
        if chunk and (len(chunk) == MAX_NOTICES or identities + len(notice["identities"]) > 2 * MAX_IDENTITIES):
            yield chunk
            chunk, identities = [], 0
        chunk.append(notice)
        identities += len(notice["identities"])
    if chunk:
        yield chunk


def _is_at_fault(error: RequestError) -> bool:
    cause = error.__cause__
    return isinstance(cause, aiohttp.ClientResponseError) and cause.status in _AT_FAULT


def _jittered(seconds: float, most: float) -> float:
    """Return something between half of it and all of it, within a limit."""
    return min(seconds, most) * random.uniform(0.5, 1)  # noqa: S311  # no secret
