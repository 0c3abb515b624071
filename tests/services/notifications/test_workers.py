"""Send what the outbox holds, beside a stand-in for FCM that is slow, away, or answers with each of its errors."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest
from prometheus_client import CollectorRegistry

from services.clock import utc_now
from services.database import Database, open_database
from services.errors import DatabaseUnavailable
from services.notifications import outbox as subject
from services.notifications.fcm import FcmSender
from services.notifications.metrics import PushMetrics
from services.notifications.outbox import Outbox, Settled
from services.notifications.push import Notice, Outcome, Payload, Result
from services.notifications.service_account import AccessTokens, ServiceAccount
from services.notifications.settings import NotificationsSettings, PushSettings
from services.notifications.workers import MOST_SECONDS, QUOTA_SECONDS, Housekeeper, Workers, choose_wait
from tests.services.notifications.conftest import Rows, until
from tests.services.notifications.fcm_stand_in import (
    BAD_PAYLOAD,
    BAD_TOKEN,
    FORBIDDEN,
    INTERNAL,
    NOT_LET_IN,
    QUOTA_EXCEEDED,
    SENDER_ID_MISMATCH,
    THIRD_PARTY_AUTH_ERROR,
    UNAVAILABLE,
    UNREGISTERED,
    FcmStandIn,
    Trouble,
)

TTL_SECONDS = 3600.0
# Longer than any wait, so that what is in hand can be told from what waits.
LEASE_SECONDS = 100_000
RunWorkers = Callable[..., Awaitable["Hands"]]


@dataclass
class Hands:
    """Be running workers, and what they count.

    Attributes:
        workers: the hands.
        registry: where they count.
    """

    workers: Workers
    registry: CollectorRegistry

    def count(self, outcome: str) -> float:
        """Return how many pushes had an outcome."""
        return self.registry.get_sample_value("stampchat_pushes_total", {"outcome": outcome}) or 0.0

    def alerts(self, reason: str) -> float:
        """Return how often a person was called for."""
        return self.registry.get_sample_value("stampchat_push_alerts_total", {"reason": reason}) or 0.0


@pytest.fixture
async def opened(rows: Rows, settings: NotificationsSettings) -> AsyncIterator[Database]:
    """Open the migrated database."""
    del rows
    async with open_database(settings.database) as database:
        yield database


@pytest.fixture
def outbox(opened: Database) -> Outbox:
    """Make an outbox."""
    return Outbox(opened)


@pytest.fixture
async def run_workers(
    outbox: Outbox, account: ServiceAccount, fcm: FcmStandIn, client: aiohttp.ClientSession
) -> AsyncIterator[RunWorkers]:
    """Run workers until the test ends."""
    async with AsyncExitStack() as stack:

        async def run(**changes: Any) -> Hands:
            registry = CollectorRegistry()
            sender = FcmSender(account.project_id, AccessTokens(account, client), client, url=fcm.url)
            workers = Workers(outbox, sender, replace(PushSettings(), **changes), PushMetrics(registry))
            await stack.enter_async_context(_working(workers))
            return Hands(workers, registry)

        yield run


@asynccontextmanager
async def _working(workers: Workers) -> AsyncIterator[None]:
    workers.start()
    try:
        yield
    finally:
        await workers.close()


def notice(number: int, *identities: str, room: int = 0, **changes: Any) -> Notice:
    """Make a message; with a room it collapses."""
    collapse_key = f"room:{room}" if room else ""
    payload = Payload("Room", f"Ada: {number}")
    return replace(Notice(f"message:{number}", identities, payload, collapse_key, rank=number), **changes)


async def is_done(rows: Rows) -> bool:
    """Say whether nothing waits."""
    return not await rows.connection.fetchval("SELECT count(*) FROM deliveries WHERE state = 'waiting'")


@pytest.mark.parametrize(
    ("trouble", "state", "is_kept", "is_alert"),
    [
        (UNREGISTERED, "gone", False, False),
        (BAD_TOKEN, "gone", False, False),
        (SENDER_ID_MISMATCH, "gone", False, True),
        (BAD_PAYLOAD, "dead", True, True),
        (THIRD_PARTY_AUTH_ERROR, "dead", True, True),
        (QUOTA_EXCEEDED, "waiting", True, False),
        (UNAVAILABLE, "waiting", True, False),
        (INTERNAL, "waiting", True, False),
        (NOT_LET_IN, "waiting", True, True),
        (FORBIDDEN, "waiting", True, True),
    ],
    ids=lambda value: value.code or str(value.status) if isinstance(value, Trouble) else None,
)
async def test_what_each_error_of_fcm_does(  # noqa: PLR0917  # fixtures
    outbox: Outbox,
    rows: Rows,
    fcm: FcmStandIn,
    run_workers: RunWorkers,
    trouble: Trouble,
    state: str,
    *,
    is_kept: bool,
    is_alert: bool,
) -> None:
    """The device is forgotten or kept, a person is called or not, the push is over, given up, or tried again."""
    await rows.register(ada="phone", bob="tablet")
    fcm.troubles["phone"].extend([trouble, trouble] if trouble is NOT_LET_IN else [trouble])
    await outbox.store([notice(1, "ada", "bob")], TTL_SECONDS)

    hands = await run_workers()

    await until(lambda: rows.connection.fetchval("SELECT reason <> '' FROM deliveries WHERE fcm_token = 'phone'"))
    await until(lambda: rows.connection.fetchval("SELECT state = 'sent' FROM deliveries WHERE fcm_token = 'tablet'"))
    assert await rows.states() == {"phone": [state], "tablet": ["sent"]}
    assert (("ada", "phone") in await rows.registered()) is is_kept
    assert (hands.alerts(trouble.code or f"HTTP {trouble.status}") > 0) is is_alert
    if state == "waiting":
        await rows.make_due()
        await until(lambda: is_done(rows))
        assert fcm.got["phone"] == 1


@pytest.mark.parametrize(
    ("trouble", "least", "most"),
    [
        (UNAVAILABLE, 0, 2),
        (replace(UNAVAILABLE, retry_after="300"), 300, 310),
        (replace(INTERNAL, retry_after="a date"), 590, 625),
        (QUOTA_EXCEEDED, QUOTA_SECONDS, QUOTA_SECONDS + 2),
        (replace(QUOTA_EXCEEDED, retry_after="20"), 20, 23),
        (Trouble(429, body="slow down"), QUOTA_SECONDS, QUOTA_SECONDS + 2),
    ],
)
async def test_fcm_is_given_the_time_that_it_asks_for(  # noqa: PLR0917  # fixtures
    outbox: Outbox, rows: Rows, fcm: FcmStandIn, run_workers: RunWorkers, trouble: Trouble, least: float, most: float
) -> None:
    """Seconds or a date; a quota without either waits a minute at least."""
    await rows.register(ada="phone")
    if trouble.retry_after == "a date":
        # Of now, and not of when the tests were collected.
        moment = utc_now() + timedelta(seconds=615)
        trouble = replace(trouble, retry_after=format_datetime(moment, usegmt=True))
    fcm.troubles["phone"].append(trouble)
    await outbox.store([notice(1, "ada")], TTL_SECONDS)

    await run_workers()

    # The row of a claim is due when its lease ends; what was put off says why.
    await until(rows.waits)
    assert least - 5 <= (await rows.waits())["phone"] <= most


def test_back_off_doubles_with_full_jitter_up_to_a_limit() -> None:
    """Those who failed together do not come back together."""
    waits = [[choose_wait(attempts, Result(Outcome.LATER)) for _ in range(300)] for attempts in (1, 4, 50)]

    for found, most in zip(waits, (2, 16, MOST_SECONDS), strict=True):
        assert max(found) <= most
        assert min(found) < most / 4
        assert max(found) > most * 3 / 4


async def test_what_is_tried_too_often_or_waits_too_long_is_given_up(
    outbox: Outbox, rows: Rows, fcm: FcmStandIn, run_workers: RunWorkers
) -> None:
    """It is a dead letter with its text, and FCM is not asked when it is too late already."""
    await rows.register(ada="often", bob="late", cy="later")
    fcm.troubles["often"].extend([UNAVAILABLE] * 9)
    fcm.troubles["later"].append(replace(UNAVAILABLE, retry_after=str(int(TTL_SECONDS) + 60)))
    await outbox.store([notice(1, "ada", "bob", "cy")], TTL_SECONDS)
    await rows.connection.execute("UPDATE deliveries SET expires_at = now() WHERE fcm_token = 'late'")

    await run_workers(tries=3, lease_seconds=LEASE_SECONDS)

    async def is_settled() -> bool:
        await rows.make_due(but_held_for=LEASE_SECONDS)
        return await is_done(rows)

    await until(is_settled)
    assert await rows.states() == {"often": ["dead"], "late": ["dead"], "later": ["dead"]}
    assert fcm.tries == {"often": 3, "later": 1}
    assert await rows.connection.fetchval("SELECT min(length(payload)) FROM deliveries") > 0


async def test_two_workers_in_two_processes_send_each_once(
    outbox: Outbox, rows: Rows, fcm: FcmStandIn, run_workers: RunWorkers
) -> None:
    """And whoever hands over the same again at the same time adds nothing."""
    await rows.register(**{f"u{n}": f"phone-{n}" for n in range(60)})
    notices = [notice(number, *(f"u{n}" for n in range(60))) for number in range(5)]
    await run_workers()
    await run_workers()

    await asyncio.gather(*(outbox.store(notices[start:], TTL_SECONDS) for start in (0, 1, 0, 2, 0)))

    await until(lambda: is_done(rows))
    assert fcm.got == {f"phone-{n}": 5 for n in range(60)}


async def test_a_newer_message_of_a_room_takes_the_place_of_those_that_wait(
    outbox: Outbox, rows: Rows, fcm: FcmStandIn, run_workers: RunWorkers
) -> None:
    """For each device, in each room; also one that comes late is not shown over a newer one."""
    await rows.register(ada="phone", bob="tablet")
    await outbox.store([notice(1, "ada", room=1), notice(2, "ada", "bob", room=1), notice(3, "ada", room=2)], 60)
    await outbox.store([notice(5, "ada", room=1)], 60)
    await outbox.store([notice(4, "ada", "bob", room=1)], 60)
    await run_workers()
    await until(lambda: is_done(rows))

    assert sorted(fcm.texts) == [("phone", "Ada: 3"), ("phone", "Ada: 5"), ("tablet", "Ada: 4")]

    await outbox.store([notice(1, "ada", "bob", room=1), notice(6, "ada", room=1)], 60)
    await until(lambda: is_done(rows))
    assert sorted(fcm.texts)[1:] == [("phone", "Ada: 5"), ("phone", "Ada: 6"), ("tablet", "Ada: 4")]
    assert {message["android"]["collapse_key"] for message in fcm.messages} == {"room:1", "room:2"}


async def test_a_failed_try_is_not_repeated_over_a_newer_message(
    outbox: Outbox, rows: Rows, fcm: FcmStandIn, run_workers: RunWorkers
) -> None:
    """It was under way when the newer one came."""
    await rows.register(ada="phone")
    fcm.may_answer.clear()
    fcm.troubles["phone"].append(UNAVAILABLE)
    await outbox.store([notice(1, "ada", room=1)], 60)
    await run_workers(workers=1)
    await until(lambda: is_under_way(fcm))
    await outbox.store([notice(2, "ada", room=1)], 60)
    fcm.may_answer.set()

    await until(lambda: is_done(rows))
    assert fcm.texts == [("phone", "Ada: 2")]
    assert await rows.states() == {"phone": ["collapsed", "sent"]}


async def is_under_way(fcm: FcmStandIn) -> bool:
    """Say whether a send has come and waits."""
    return fcm.under_way > 0


async def test_a_device_that_changed_hands_is_told_nothing(
    outbox: Outbox, rows: Rows, fcm: FcmStandIn, run_workers: RunWorkers
) -> None:
    """Neither is one that was unregistered since."""
    await rows.register(ada="phone", bob="tablet", cy="gone")
    await outbox.store([notice(1, "ada", "bob", "cy")], TTL_SECONDS)
    await rows.connection.execute(
        "UPDATE tokens SET identity = 'dan' WHERE fcm_token = 'phone'; DELETE FROM tokens WHERE fcm_token = 'gone'"
    )

    await run_workers()

    await until(lambda: is_done(rows))
    assert fcm.tries == {"tablet": 1}
    assert await rows.states() == {"phone": ["gone"], "tablet": ["sent"], "gone": ["gone"]}
    assert await rows.registered() == [("dan", "phone"), ("bob", "tablet")]


async def test_fcm_down_and_back(outbox: Outbox, rows: Rows, fcm: FcmStandIn, run_workers: RunWorkers) -> None:
    """While it refuses, it is asked seldom and by one; then everything goes out, once."""
    await rows.register(**{f"u{n}": f"phone-{n}" for n in range(100)})
    await fcm.close()
    await outbox.store([notice(1, *(f"u{n}" for n in range(100)))], TTL_SECONDS)
    hands = await run_workers(workers=2, lease_seconds=LEASE_SECONDS)
    await until(lambda: is_open(hands))
    tried = await rows.connection.fetchval("SELECT sum(attempts) FROM deliveries")
    # Two claims were on their way before anybody knew.
    assert 5 <= tried <= 50 + 3
    assert len((await rows.states())["phone-7"]) == 1

    await fcm.open()

    async def is_settled() -> bool:
        await rows.make_due(but_held_for=LEASE_SECONDS)
        return await is_done(rows)

    await until(is_settled)
    assert fcm.got == {f"phone-{n}": 1 for n in range(100)}
    assert {state for states in (await rows.states()).values() for state in states} == {"sent"}


async def is_open(hands: Hands) -> bool:
    """Say whether FCM is taken to be away."""
    return hands.workers._breaker.is_open


async def test_a_slow_fcm_keeps_nobody_from_storing(
    outbox: Outbox, rows: Rows, fcm: FcmStandIn, run_workers: RunWorkers
) -> None:
    """Whoever hands over has their answer while every worker waits."""
    await rows.register(**{f"u{n}": f"phone-{n}" for n in range(60)})
    everybody = [f"u{n}" for n in range(60)]
    fcm.may_answer.clear()
    await run_workers(workers=1)
    await outbox.store([notice(1, *everybody)], TTL_SECONDS)
    await until(lambda: is_under_way(fcm))

    for number in range(2, 10):
        stored = await outbox.store([notice(number, *everybody)], TTL_SECONDS)
        assert stored[0].stored == 60
    assert fcm.got.total() == 0

    fcm.may_answer.set()
    await until(lambda: is_done(rows))
    assert fcm.got.total() == 9 * 60


async def test_a_worker_that_is_too_slow_has_no_say(outbox: Outbox, rows: Rows) -> None:
    """Its lease ended, another has claimed the row, and what the first says of it is not written."""
    await rows.register(ada="phone")
    await outbox.store([notice(1, "ada")], TTL_SECONDS)
    [first] = await outbox.claim(10, 60)
    assert await outbox.claim(10, 60) == []
    await rows.make_due()
    [second] = await outbox.claim(10, 60)

    await outbox.settle([Settled(first, "dead", "slow")])
    assert await rows.states() == {"phone": ["waiting"]}
    await outbox.settle([Settled(second, "sent")])
    assert await rows.states() == {"phone": ["sent"]}
    assert await rows.connection.fetchval("SELECT payload FROM deliveries") == ""


async def test_a_database_that_goes_away_between_send_and_mark_doubles_nothing(
    rows: Rows, fcm: FcmStandIn, run_workers: RunWorkers, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was sent is written down when it is back."""
    await rows.register(ada="phone")
    settle, failures = outbox.settle, [DatabaseUnavailable("away"), DatabaseUnavailable("away")]

    async def fail_first(settled: Any) -> None:
        if failures:
            raise failures.pop()
        await settle(settled)

    monkeypatch.setattr(outbox, "settle", fail_first)
    await outbox.store([notice(1, "ada")], TTL_SECONDS)
    await run_workers()

    await until(lambda: is_done(rows))
    assert failures == []
    assert fcm.got == {"phone": 1}


async def test_what_was_settled_long_ago_is_purged(outbox: Outbox, rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    """In pieces, each kind after its own time; what waits stays, however old."""
    monkeypatch.setattr(subject, "PURGE_ROWS", 7)
    monkeypatch.setattr("services.notifications.workers.PURGE_ROWS", 7)
    await rows.connection.execute(
        """
        INSERT INTO deliveries (key, identity, fcm_token, payload, state, expires_at, done_at)
        SELECT state || n, 'ada', 'phone', '', state, now(), now() - n * interval '1 day'
        FROM unnest(ARRAY['sent', 'collapsed', 'gone', 'dead']) AS state, generate_series(1, 20) AS n;
        INSERT INTO deliveries (key, identity, fcm_token, payload, expires_at, inserted_at)
        VALUES ('w', 'ada', 'phone', '', now(), now() - interval '1 year')
        """
    )
    registry = CollectorRegistry()
    await Housekeeper(outbox, PushSettings(), PushMetrics(registry)).keep()

    left = await rows.connection.fetch("SELECT state, count(*) AS n FROM deliveries GROUP BY state")
    assert {row["state"]: row["n"] for row in left} == {"sent": 1, "collapsed": 1, "gone": 1, "dead": 13, "waiting": 1}
    assert registry.get_sample_value("stampchat_push_queue") == 1
    assert registry.get_sample_value("stampchat_push_dead_letters") == 20
    assert (registry.get_sample_value("stampchat_push_oldest_seconds") or 0) > 86400


async def test_every_statement_uses_an_index(rows: Rows) -> None:
    """Read the plans where a sequential scan would be dear."""
    await rows.connection.execute(
        """
        INSERT INTO tokens (identity, fcm_token) SELECT 'u' || n, 'phone-' || n FROM generate_series(1, 20000) n;
        INSERT INTO deliveries (key, identity, fcm_token, collapse_key, rank, payload, state, expires_at, done_at)
        SELECT 'k' || n, 'u' || n, 'phone-' || n, 'room:1', n, '{}',
          (ARRAY['sent', 'sent', 'sent', 'dead', 'waiting'])[1 + n % 5], now(),
          CASE WHEN n % 5 < 4 THEN now() - n * interval '1 second' END
        FROM generate_series(1, 20000) n;
        ANALYZE
        """
    )
    note = [["k"], ["room:1"], [1], ["{}"], [1], ["u7"], [None], 60.0]
    path: list[tuple[str, list[Any]]] = [
        (subject._STORE, note),
        (subject._COLLAPSE, [["phone-7"]]),
        (subject._CLAIM, [25, 60.0]),
        (subject._SETTLE, [[7], [1], ["sent"], [""], [0.0]]),
        (subject._FORGET, [["phone-7"]]),
        (subject._FORGET_WAITING, [["phone-7"]]),
        (subject._PURGE, [["sent", "gone"], 86400.0 * 365, 1000]),
    ]
    for statement, arguments in path:
        plan = "\n".join(row[0] for row in await rows.connection.fetch("EXPLAIN " + statement, *arguments))
        assert "Seq Scan" not in plan, f"{statement}\n{plan}"
