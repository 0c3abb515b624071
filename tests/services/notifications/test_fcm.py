from __future__ import annotations

import json
from typing import Any

import aiohttp
import jwt
import pytest

from services.notifications.fcm import FcmSender, build_message, classify
from services.notifications.push import Outcome, Push
from services.notifications.service_account import SCOPE, AccessTokens, ServiceAccount
from tests.services.notifications.conftest import ACCOUNT_KEY, FCM_ERROR, FcmDouble

PUSH = Push(title="Road trip", body="Ada: hi", data={"click_action": "FLUTTER_NOTIFICATION_CLICK"})


def refusal(code: str, *fields: str) -> bytes:
    """Build an error as FCM does; fields are those that it says are wrong."""
    details: list[dict[str, Any]] = [{"@type": FCM_ERROR, "errorCode": code}] if code else []
    if fields:
        violations = [{"field": field} for field in fields]
        details.append({"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations})
    return json.dumps({"error": {"details": details}}).encode()


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (200, b'{"name": "projects/x/messages/1"}', Outcome.SENT),
        (404, refusal("UNREGISTERED"), Outcome.GONE),
        (403, refusal("SENDER_ID_MISMATCH"), Outcome.GONE),
        (400, refusal("INVALID_ARGUMENT"), Outcome.GONE),
        (400, refusal("INVALID_ARGUMENT", "message.token"), Outcome.GONE),
        (400, refusal("INVALID_ARGUMENT", "message.data[0].value"), Outcome.REFUSED),
        (400, refusal("", "message.token"), Outcome.REFUSED),
        (404, b"<html>not found</html>", Outcome.REFUSED),
        (403, b'{"error": {"status": "PERMISSION_DENIED"}}', Outcome.REFUSED),
        (401, refusal("THIRD_PARTY_AUTH_ERROR"), Outcome.REFUSED),
        (429, refusal("QUOTA_EXCEEDED"), Outcome.LATER),
        (429, b"", Outcome.LATER),
        (500, refusal("INTERNAL"), Outcome.LATER),
        (503, refusal("UNAVAILABLE"), Outcome.LATER),
        (502, b"\xff", Outcome.LATER),
        (400, b'{"error": {"details": [{"@type": 7}]}}', Outcome.REFUSED),
        (400, b'{"error": "flat"}', Outcome.REFUSED),
    ],
)
def test_each_answer_of_fcm_has_its_meaning(status: int, answer: bytes, expected: Outcome) -> None:
    """Only FCM's own error about the token may cost a device its registration."""
    assert classify(status, answer) is expected


def test_a_long_text_is_cut_between_characters_to_fit_fcm() -> None:
    """A payload over 4096 bytes would be refused whole."""
    message = build_message("phone", Push(title="é" * 1000, body="日" * 5000))["message"]["notification"]

    assert len(json.dumps(message, ensure_ascii=False).encode()) < 3000
    assert set(message["title"] + message["body"]) == {"é", "日"}


@pytest.fixture
def sender(account: ServiceAccount, fcm: FcmDouble, client: aiohttp.ClientSession) -> FcmSender:
    """Make a sender that knows the stand-in alone."""
    return FcmSender(account.project_id, AccessTokens(account, client), client, url=fcm.url)


async def test_one_access_token_serves_many_sends(sender: FcmSender, fcm: FcmDouble) -> None:
    """It is asked for with an assertion that our service account signed."""
    assert [await sender.send(f"phone-{n}", PUSH) for n in range(3)] == [Outcome.SENT] * 3

    claims = jwt.decode(fcm.assertions[0], ACCOUNT_KEY.public_key(), algorithms=["RS256"], audience=f"{fcm.url}/token")
    assert (claims["iss"], claims["scope"]) == ("push@example.com", SCOPE)
    assert fcm.access == ["access-1"] * 3


async def test_a_revoked_access_token_is_replaced_once(sender: FcmSender, fcm: FcmDouble) -> None:
    """A 401 without a word of FCM's is about our token, not about the device."""
    await sender.send("phone", PUSH)
    fcm.revoked = {"access-1"}
    assert await sender.send("phone", PUSH) is Outcome.SENT
    assert fcm.access == ["access-1", "access-1", "access-2"]


async def test_fcm_away_is_a_passing_failure(account: ServiceAccount, client: aiohttp.ClientSession) -> None:
    """Neither the token endpoint nor FCM needs to be there."""
    nowhere = ServiceAccount(account.project_id, "x", account.private_key, "http://127.0.0.1:9/token")
    sender = FcmSender("x", AccessTokens(nowhere, client), client, url="http://127.0.0.1:9")

    assert await sender.send("phone", PUSH) is Outcome.LATER
