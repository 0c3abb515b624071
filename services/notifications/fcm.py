"""Send pushes through FCM's HTTP v1 API, and read its answers as its documentation has them.

https://firebase.google.com/docs/cloud-messaging/error-codes
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

import aiohttp
import msgspec

from services.notifications.push import Outcome, Push
from services.notifications.service_account import AccessTokens

FCM_URL = "https://fcm.googleapis.com"
FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"
# A message of FCM is at most 4096 bytes; a long text is cut in the push and whole in the app.
MAX_BODY_BYTES = 2048
MAX_TITLE_BYTES = 512

# Only FCM's own error may cost a device its registration: a plain 400 or 404 can be our mistake.
_BY_CODE = {
    "UNREGISTERED": Outcome.GONE,
    "SENDER_ID_MISMATCH": Outcome.GONE,
    "INVALID_ARGUMENT": Outcome.GONE,
    "QUOTA_EXCEEDED": Outcome.LATER,
    "UNAVAILABLE": Outcome.LATER,
    "INTERNAL": Outcome.LATER,
    "THIRD_PARTY_AUTH_ERROR": Outcome.REFUSED,
}
logger = logging.getLogger(__name__)


class _Error(msgspec.Struct):
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

    async def send(self, token: str, push: Push) -> Outcome:
        """Push to one device and say what became of it."""
        message = build_message(token, push)
        try:
            access = await self._tokens.get()
            status, answer = await self._post(message, access)
            if status == HTTPStatus.UNAUTHORIZED and not _error_code(answer):
                # Ours was revoked or the clocks differ: mint once more.
                status, answer = await self._post(message, await self._tokens.get(refused=access))
        except (aiohttp.ClientError, TimeoutError, OSError, msgspec.MsgspecError) as error:
            logger.warning("a push did not reach FCM", extra={"fields": {"reason": repr(error)}})
            return Outcome.LATER
        outcome = classify(status, answer)
        if outcome is Outcome.REFUSED:
            logger.error("FCM refused a push", extra={"fields": {"status": status, "code": _error_code(answer)}})
        return outcome

    async def _post(self, message: dict[str, Any], access: str) -> tuple[int, bytes]:
        headers = {aiohttp.hdrs.AUTHORIZATION: f"Bearer {access}"}
        async with self._session.post(self._url, json=message, headers=headers) as response:
            return response.status, await response.read()


def build_message(token: str, push: Push) -> dict[str, Any]:
    """Build the body of one send."""
    notification = {"title": _cut(push.title, MAX_TITLE_BYTES), "body": _cut(push.body, MAX_BODY_BYTES)}
    return {"message": {"token": token, "notification": notification, "data": dict(push.data)}}


def classify(status: int, answer: bytes) -> Outcome:
    """Say what an answer of FCM means for the push.

    Args:
        status: of the HTTP answer.
        answer: its body.
    """
    if status == HTTPStatus.OK:
        return Outcome.SENT
    code = _error_code(answer)
    if code == "INVALID_ARGUMENT" and _payload_is_bad(answer):
        return Outcome.REFUSED
    if outcome := _BY_CODE.get(code):
        return outcome
    passing = status == HTTPStatus.TOO_MANY_REQUESTS or status >= HTTPStatus.INTERNAL_SERVER_ERROR
    return Outcome.LATER if passing else Outcome.REFUSED


def _error_code(answer: bytes) -> str:
    codes = (str(detail.get("errorCode", "")) for detail in _details(answer) if detail.get("@type") == FCM_ERROR)
    return next(codes, "")


def _payload_is_bad(answer: bytes) -> bool:
    """Say whether FCM names a field other than the token: then the mistake is ours, and the device is innocent."""
    violations = (detail.get("fieldViolations") for detail in _details(answer) if detail.get("@type") == BAD_REQUEST)
    fields = (entry.get("field") for found in violations if isinstance(found, list) for entry in found)
    return any(field != "message.token" for field in fields)


def _details(answer: bytes) -> list[dict[str, Any]]:
    try:
        return msgspec.json.decode(answer, type=_Answer).error.details
    except (msgspec.DecodeError, UnicodeDecodeError):
        return []


def _cut(text: str, most: int) -> str:
    """Cut a text to a number of UTF-8 bytes without splitting a character."""
    return text.encode(errors="replace")[:most].decode(errors="ignore")
