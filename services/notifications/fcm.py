"""Send pushes through FCM's HTTP v1 API, and read its answers as its documentation has them.

https://firebase.google.com/docs/cloud-messaging/error-codes
"""

from __future__ import annotations

import asyncio
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec
from aiohttp import hdrs

from services.clock import utc_now
from services.notifications.payload import build_message
from services.notifications.push import Delivery, Outcome, Result
from services.notifications.service_account import AccessTokens, MintError
from services.peers import read_answer

FCM_URL = "https://fcm.googleapis.com"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
# For a token, a send, and both once more; a claim lasts longer than this.
SEND_SECONDS = 25.0
MAX_ANSWER_BYTES = 64 * 1024

# Only FCM's own error may cost a device its registration: a plain 400 or 404 can be our mistake.
_BY_CODE = {
    "UNREGISTERED": Outcome.GONE,
    "SENDER_ID_MISMATCH": Outcome.GONE,
    "QUOTA_EXCEEDED": Outcome.LATER,
    "UNAVAILABLE": Outcome.LATER,
    "INTERNAL": Outcome.LATER,
    "THIRD_PARTY_AUTH_ERROR": Outcome.REFUSED,
}
# The device belongs to another Firebase project; APNs does not take the key that Firebase holds.
_ALERTS = frozenset({"SENDER_ID_MISMATCH", "THIRD_PARTY_AUTH_ERROR"})
# Without a word of FCM's it is we who are not let in, which concerns every push and which a person can mend.
_NOT_LET_IN = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN})


class _Error(msgspec.Struct):
    message: str = ""
    details: list[dict[str, Any]] = []


class _Answer(msgspec.Struct):
    error: _Error


class FcmSender:
    """Push to one device at a time; FCM has no other way left.

    Args:
        project_id: the Firebase project.
        tokens: what FCM lets us in with.
        session: the HTTP client to use.
        url: where FCM is.
    """

    def __init__(
        self, project_id: str, tokens: AccessTokens, session: aiohttp.ClientSession, *, url: str = FCM_URL
    ) -> None:
        self._url = f"{url}/v1/projects/{project_id}/messages:send"
        self._tokens = tokens
        self._session = session

    async def send(self, delivery: Delivery) -> Result:
        """Push to one device and say what became of it."""
        message = build_message(delivery)
        try:
            async with asyncio.timeout(SEND_SECONDS):
                access = await self._tokens.get()
                status, answer, retry_after = await self._post(message, access)
                if status == HTTPStatus.UNAUTHORIZED and not read_error(answer)[0]:
                    # Ours was revoked or the clocks differ: mint once more.
                    status, answer, retry_after = await self._post(message, await self._tokens.get(refused=access))
        except MintError as error:
            return Result(Outcome.LATER, str(error), error.retry_after, is_alert=error.is_refusal)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return Result(Outcome.LATER, f"unreachable: {type(error).__name__}")
        return classify(status, answer, retry_after)

    async def _post(self, message: bytes, access: str) -> tuple[int, bytes, float | None]:
        headers = {hdrs.AUTHORIZATION: f"Bearer {access}", hdrs.CONTENT_TYPE: "application/json"}
        async with self._session.post(self._url, data=message, headers=headers) as response:
            answer = await read_answer(response, MAX_ANSWER_BYTES)
            return response.status, answer, parse_retry_after(response.headers.get(hdrs.RETRY_AFTER))


def classify(status: int, answer: bytes, retry_after: float | None = None) -> Result:
    """Say what an answer of FCM means for the push.

    Args:
        status: of the HTTP answer.
        answer: its body.
        retry_after: what its header asks for.
    """
    if status == HTTPStatus.OK:
        return Result(Outcome.SENT)
    code, is_about_token = read_error(answer)
    reason = code or f"HTTP {status}"
    if code == "INVALID_ARGUMENT":
        # Whatever is not plainly about the token is a mistake of ours, and the device is innocent.
        return Result(Outcome.GONE if is_about_token else Outcome.REFUSED, reason, is_alert=not is_about_token)
    if outcome := _BY_CODE.get(code):
        return Result(outcome, reason, retry_after, is_alert=code in _ALERTS)
    if status in _NOT_LET_IN:
        return Result(Outcome.LATER, reason, retry_after, is_alert=True)
    if status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Result(Outcome.LATER, reason, retry_after)
    return Result(Outcome.REFUSED, reason, is_alert=True)


def parse_retry_after(value: str | None) -> float | None:
    """Read a Retry-After header, which has seconds or a date (RFC 9110, 10.2.3); nonsense is as none."""
    if not value:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value)
    try:
        moment = parsedate_to_datetime(value)
        return max(0.0, (moment - utc_now()).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def read_error(answer: bytes) -> tuple[str, bool]:
    """Return FCM's own word for what is wrong, if there is one, and whether it is plainly the device's token."""
    try:
        error = msgspec.json.decode(answer, type=_Answer).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        return "", False
    codes = (str(detail.get("errorCode", "")) for detail in error.details if detail.get("@type") == FCM_ERROR)
    lists = (detail.get("fieldViolations") for detail in error.details if detail.get("@type") == BAD_REQUEST)
    fields = [
        entry.get("field") for found in lists if isinstance(found, list) for entry in found if isinstance(entry, dict)
    ]
    if fields:
        return next(codes, ""), all(field == "message.token" for field in fields)
    return next(codes, ""), "registration token" in error.message.lower()
