from __future__ import annotations

import asyncio
import json
from datetime import timedelta
from email.utils import format_datetime
from typing import Any

import aiohttp
import pytest

from services.clock import utc_now
from services.notifications.fcm import BAD_REQUEST, FCM_ERROR, FcmSender, classify, parse_retry_after
from services.notifications.push import Delivery, Outcome, Payload
from services.notifications.service_account import AccessTokens, ServiceAccount
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


def delivery(token: str = "phone", **changes: Any) -> Delivery:  # noqa: S107  # a device
    """Make a delivery on its way."""
    payload = Payload("Road trip", "Ada: hi", {"click_action": "FLUTTER_NOTIFICATION_CLICK"})
    fields = {
        "id": 1,
        "payload": payload,
        "collapse_key": "room:1",
        "badge": 3,
        "attempts": 1,
        "seconds_left": 60.0,
        "is_registered": True,
    }
    return Delivery(token=token, **{**fields, **changes})


def refusal(code: str, *fields: str, message: str = "") -> bytes:
    """Build an error as FCM does; fields are those that it says are wrong."""
    details: list[dict[str, Any]] = [{"@type": FCM_ERROR, "errorCode": code}] if code else []
    if fields:
        details.append({"@type": BAD_REQUEST, "fieldViolations": [{"field": field} for field in fields]})
    return json.dumps({"error": {"message": message, "details": details}}).encode()


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (200, b'{"name": "projects/x/messages/1"}', Outcome.SENT),
        (400, refusal("INVALID_ARGUMENT", "message.token"), Outcome.GONE),
        (400, refusal("INVALID_ARGUMENT"), Outcome.REFUSED),
        (400, refusal("INVALID_ARGUMENT", "message.token", "message.data[0].value"), Outcome.REFUSED),
        (400, refusal("", message="The registration token is not valid"), Outcome.REFUSED),
        (404, b"<html>not found</html>", Outcome.REFUSED),
        (429, b"", Outcome.LATER),
        (502, b"\xff", Outcome.LATER),
        (400, b'{"error": {"details": [{"@type": 7}]}}', Outcome.REFUSED),
        (
            400,
            b'{"error": {"details": [{"@type": "%s", "fieldViolations": [7]}]}}' % BAD_REQUEST.encode(),
            Outcome.REFUSED,
        ),
        (400, b'{"error": "flat"}', Outcome.REFUSED),
    ],
)
def test_each_answer_of_fcm_has_its_meaning(status: int, answer: bytes, expected: Outcome) -> None:
    """Only FCM's own error, plainly about the token, may cost a device its registration."""
    assert classify(status, answer).outcome is expected


@pytest.mark.parametrize(
    ("trouble", "outcome", "is_alert"),
    [
        (UNREGISTERED, Outcome.GONE, False),
        (BAD_TOKEN, Outcome.GONE, False),
        (BAD_PAYLOAD, Outcome.REFUSED, True),
        (SENDER_ID_MISMATCH, Outcome.GONE, True),
        (QUOTA_EXCEEDED, Outcome.LATER, False),
        (UNAVAILABLE, Outcome.LATER, False),
        (INTERNAL, Outcome.LATER, False),
        (THIRD_PARTY_AUTH_ERROR, Outcome.REFUSED, True),
        (NOT_LET_IN, Outcome.LATER, True),
        (FORBIDDEN, Outcome.LATER, True),
    ],
    ids=lambda value: value.code or str(value.status) if isinstance(value, Trouble) else None,
)
async def test_each_error_over_http(
    sender: FcmSender, fcm: FcmStandIn, trouble: Trouble, outcome: Outcome, *, is_alert: bool
) -> None:
    """What FCM says of the device, of the push, of itself, and of our set-up."""
    fcm.trouble = trouble

    result = await sender.send(delivery())

    assert (result.outcome, result.is_alert) == (outcome, is_alert)
    assert result.reason == (trouble.code or f"HTTP {trouble.status}")


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        ("7", 7, 7),
        (" 120 ", 120, 120),
        ("0", 0, 0),
    ],
)
def test_a_retry_after_in_seconds(value: str, least: float, most: float) -> None:
    """As most servers write it."""
    waited = parse_retry_after(value)
    assert waited is not None
    assert least <= waited <= most


def test_a_retry_after_may_be_a_date() -> None:
    """One that has passed is now."""
    ahead = parse_retry_after(format_datetime(utc_now() + timedelta(seconds=90), usegmt=True))
    assert ahead is not None
    assert 60 <= ahead <= 90
    assert parse_retry_after(format_datetime(utc_now() - timedelta(hours=1), usegmt=True)) == 0


@pytest.mark.parametrize("value", [None, "", "soon", "-1", "1.5", "²", "Mon, 99 Foo 2026 00:00:00 GMT"])
def test_a_retry_after_that_is_none(value: str | None) -> None:
    """Our own back-off then decides."""
    assert parse_retry_after(value) is None


@pytest.fixture
def sender(account: ServiceAccount, fcm: FcmStandIn, client: aiohttp.ClientSession) -> FcmSender:
    """Make a sender that knows the stand-in alone."""
    return FcmSender(account.project_id, AccessTokens(account, client), client, url=fcm.url)


async def test_one_access_token_serves_many_sends(sender: FcmSender, fcm: FcmStandIn) -> None:
    """Twenty who ask at once wait for one request, and the stand-in takes all that we write."""
    results = await asyncio.gather(*(sender.send(delivery(f"phone-{n}")) for n in range(20)))

    assert {result.outcome for result in results} == {Outcome.SENT}
    assert len(fcm.assertions) == 1
    assert fcm.got.total() == 20


async def test_a_revoked_access_token_is_replaced_once(sender: FcmSender, fcm: FcmStandIn) -> None:
    """A 401 without a word of FCM's is about our token, not about the device."""
    await sender.send(delivery())
    fcm.issued.clear()

    results = await asyncio.gather(*(sender.send(delivery(f"phone-{n}")) for n in range(5)))

    assert {result.outcome for result in results} == {Outcome.SENT}
    assert len(fcm.assertions) == 2


@pytest.mark.parametrize(
    ("no_token", "is_alert"),
    [(Trouble(400), True), (Trouble(503), False), (Trouble(429), False)],
    ids=["400", "503", "429"],
)
async def test_without_an_access_token_the_push_waits(
    sender: FcmSender, fcm: FcmStandIn, no_token: Trouble, *, is_alert: bool
) -> None:
    """An account that Google refuses is a person's to mend; nothing is lost meanwhile."""
    fcm.no_token = no_token
    results = await asyncio.gather(*(sender.send(delivery(f"phone-{n}")) for n in range(5)))
    assert {(result.outcome, result.is_alert) for result in results} == {(Outcome.LATER, is_alert)}
    assert len(fcm.assertions) == 1

    fcm.no_token = None
    assert (await sender.send(delivery())).outcome is Outcome.SENT


async def test_fcm_away_is_a_passing_failure(account: ServiceAccount, client: aiohttp.ClientSession) -> None:
    """Neither the token endpoint nor FCM needs to be there."""
    nowhere = ServiceAccount(account.project_id, "x", account.private_key, "http://127.0.0.1:9/token")
    sender = FcmSender("x", AccessTokens(nowhere, client), client, url="http://127.0.0.1:9")

    result = await sender.send(delivery())

    assert (result.outcome, result.is_alert) == (Outcome.LATER, False)
