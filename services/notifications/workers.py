"""Send what the outbox holds, some at a time, until each is sent, gone or given up."""

from __future__ import annotations

import asyncio
import contextvars
import logging
import random
import time
from collections.abc import Sequence

from services.errors import DatabaseUnavailable
from services.notifications.breaker import Breaker
from services.notifications.metrics import PushMetrics
from services.notifications.outbox import PURGE_ROWS, Outbox, Settled
from services.notifications.push import Delivery, Outcome, Result, Sender
from services.notifications.settings import PushSettings
from services.tracing import span

# Each is one HTTPS request over a handful of kept connections.
BATCH = 25
# For what another process stored, what was put off, and what a crash left behind.
POLL_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 10.0
# What a stopping process grants to what it has in hand.
CLOSE_SECONDS = 5.0
# What FCM's documentation asks for where it names no time.
QUOTA_SECONDS = 60.0
FIRST_SECONDS = 1.0
MOST_SECONDS = 600.0
DATABASE_SECONDS = 1.0
ALERT_SECONDS = 60.0

logger = logging.getLogger(__name__)


class Workers:
    """Be the hands that empty the outbox.

    Args:
        outbox: what is to be sent.
        sender: the way to the devices.
        settings: how many hands, and how long they try.
        metrics: where outcomes are counted.
    """

    def __init__(self, outbox: Outbox, sender: Sender, settings: PushSettings, metrics: PushMetrics) -> None:
        self._outbox = outbox
        self._sender = sender
        self._settings = settings
        self._metrics = metrics
        self._breaker = Breaker()
        self._is_closing = False
        self._alerted: dict[str, float] = {}
        self._bells: list[asyncio.Event] = []
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin."""
        for _ in range(self._settings.workers):
            bell = asyncio.Event()
            self._bells.append(bell)
            self._tasks.append(asyncio.create_task(self._work(bell), context=contextvars.Context()))

    def wake(self) -> None:
        """Say that something is due now."""
        for bell in self._bells:
            bell.set()

    async def close(self) -> None:
        """Finish what is being sent, for so long and no longer; the rest is another process's."""
        self._is_closing = True
        self.wake()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=CLOSE_SECONDS)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late)

    async def _work(self, bell: asyncio.Event) -> None:
        while not self._is_closing:
            bell.clear()
            try:
                is_busy = await self._round()
            except DatabaseUnavailable as error:
                logger.warning("pushes wait for the database", extra={"fields": {"reason": str(error)}})
                is_busy = False
            except Exception:
                logger.exception("a round of pushes failed")
                is_busy = False
            if not is_busy:
                await _wait(bell, POLL_SECONDS)

    async def _round(self) -> bool:
        """Send what is due; return whether there was anything."""
        most = self._breaker.take(BATCH)
        if not most:
            return False
        try:
            deliveries = await self._outbox.claim(most, self._settings.lease_seconds)
        except BaseException:
            self._breaker.give_back()
            raise
        if not deliveries:
            self._breaker.give_back()
            return False
        await self._send(deliveries)
        return True

    async def _send(self, deliveries: Sequence[Delivery]) -> None:
        """Send all at once, and write each down as soon as it is sent, so that a crash doubles as few as it can."""
        running = {asyncio.create_task(self._try(delivery)) for delivery in deliveries}
        try:
            while running:
                done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
                await self._settle([task.result() for task in done])
        finally:
            for task in running:
                task.cancel()
            if running:
                await asyncio.wait(running)

    async def _settle(self, settled: Sequence[Settled]) -> None:
        """Write down what became of some; without a database to write to, none of them can be claimed again either."""
        while True:
            try:
                await self._outbox.settle(settled)
            except DatabaseUnavailable as error:
                logger.warning("what was pushed is not written down yet", extra={"fields": {"reason": str(error)}})
                await asyncio.sleep(DATABASE_SECONDS * random.uniform(0.5, 1))  # noqa: S311  # no secret
            else:
                return

    async def _try(self, delivery: Delivery) -> Settled:
        settled, outcome = await self._attempt(delivery)
        self._metrics.pushes.labels(outcome).inc()
        if settled.state == "dead":
            logger.error("a push was given up", extra={"fields": {"delivery": delivery.id, "reason": settled.reason}})
        return settled

    async def _attempt(self, delivery: Delivery) -> tuple[Settled, str]:
        early = self._judge(delivery)
        if early is not None:
            self._breaker.give_back()
            return early, "unregistered" if early.state == "gone" else "dead"
        started = time.monotonic()
        with self._metrics.seconds.time(), span("push", kind="producer") as traced:
            result = await self._sender.send(delivery)
            traced.set("stampchat.push.outcome", result.outcome)
            traced.set("stampchat.push.attempt", delivery.attempts)
        if result.outcome is Outcome.SENT:
            age = self._settings.ttl_seconds - delivery.seconds_left
            self._metrics.delivery_seconds.observe(max(0.0, age + time.monotonic() - started))
        if result.is_alert:
            self._alert(result.reason)
        match result.outcome:
            case Outcome.LATER:
                self._breaker.fail(delivery.token, result.retry_after)
                return self._put_off(delivery, result)
            case Outcome.REFUSED:
                self._breaker.succeed()
                return Settled(delivery, "dead", result.reason), "dead"
            case outcome:
                self._breaker.succeed()
                return Settled(delivery, outcome, result.reason), outcome

    def _alert(self, reason: str) -> None:
        """Call for a person; one line a minute says as much as one a device."""
        self._metrics.alerts.labels(reason).inc()
        now = time.monotonic()
        if now - self._alerted.get(reason, -ALERT_SECONDS) >= ALERT_SECONDS:
            self._alerted[reason] = now
            logger.error("pushes need a person's attention", extra={"fields": {"reason": reason}})

    def _judge(self, delivery: Delivery) -> Settled | None:
        """Say what is to become of what is not to be tried at all."""
        if not delivery.is_registered:
            return Settled(delivery, "gone", "the device is no longer the person's")
        if delivery.seconds_left <= 0:
            return Settled(delivery, "dead", "it waited too long")
        if delivery.attempts > self._settings.tries:
            return Settled(delivery, "dead", "it was tried too often")
        return None

    def _put_off(self, delivery: Delivery, result: Result) -> tuple[Settled, str]:
        wait = choose_wait(delivery.attempts, result)
        if delivery.attempts >= self._settings.tries or wait >= delivery.seconds_left:
            return Settled(delivery, "dead", f"given up: {result.reason}"), "dead"
        return Settled(delivery, "waiting", result.reason, wait), "later"


class Housekeeper:
    """Purge what was settled long ago, and measure what is there.

    Args:
        outbox: what to keep.
        settings: for how long.
        metrics: where it is told.
    """

    def __init__(self, outbox: Outbox, settings: PushSettings, metrics: PushMetrics) -> None:
        self._outbox = outbox
        self._settings = settings
        self._metrics = metrics
        self._closing = asyncio.Event()

    async def run(self) -> None:
        """Do it now and then, until close() is called."""
        while not self._closing.is_set():
            try:
                await self.keep()
            except DatabaseUnavailable:
                # The workers say it.
                pass
            except Exception:
                logger.exception("housekeeping failed")
            await _wait(self._closing, HOUSEKEEPING_SECONDS)

    def close(self) -> None:
        """Let run() end when it has done what it does: a connection that is cut in the middle is of no use again."""
        self._closing.set()

    async def keep(self) -> None:
        """Do it once."""
        counts = await self._outbox.count()
        self._metrics.queue.set(counts.waiting)
        self._metrics.dead.set(counts.dead)
        self._metrics.oldest.set(counts.oldest_seconds)
        ages = ((("sent", "collapsed", "gone"), self._settings.keep_seconds), (("dead",), self._settings.dead_seconds))
        for states, seconds in ages:
            while await self._outbox.purge(states, seconds) == PURGE_ROWS:  # noqa: ASYNC110  # the database has no event
                await asyncio.sleep(0.1)


def choose_wait(attempts: int, result: Result) -> float:
    """Return how many seconds to wait before the next try.

    Exponential back-off with full jitter (https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/),
    added to what the provider asks for, so that those who were told the same do not come back together.
    """
    if result.retry_after is not None:
        return result.retry_after + random.uniform(0, min(10.0, 1 + result.retry_after / 10))  # noqa: S311  # no secret
    jittered = random.uniform(0, min(MOST_SECONDS, FIRST_SECONDS * 2 ** min(attempts, 20)))  # noqa: S311  # no secret
    is_quota = result.reason in {"QUOTA_EXCEEDED", "HTTP 429"}
    return QUOTA_SECONDS + jittered if is_quota else jittered


async def _wait(bell: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await bell.wait()
    except TimeoutError:
        pass
