"""Stand in for FCM and for Google's token endpoint, over real HTTP: strict in what it takes, and as difficult as asked.

It answers in the forms of https://firebase.google.com/docs/reference/fcm/rest/v1/ErrorCode and of google.rpc.Status.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import jwt
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from services.notifications.fcm import BAD_REQUEST, FCM_ERROR
from services.notifications.service_account import GRANT_TYPE, SCOPE

MAX_MESSAGE_BYTES = 4096
PROJECT = "stampchat-test"
EMAIL = "push@example.com"
_SHAPE: dict[str, Any] = {
    "token": str,
    "notification": {"title": str, "body": str},
    "data": dict,
    "android": {
        "collapse_key": str,
        "priority": str,
        "ttl": str,
        "notification": {"tag": str, "notification_count": int},
    },
    "apns": {"headers": dict, "payload": {"aps": {"badge": int, "thread-id": str}}},
}


@dataclass(frozen=True)
class Trouble:
    """Be an answer that is none to be glad of.

    Attributes:
        status: of HTTP.
        code: FCM's own, in a FcmError; none when empty.
        message: for people.
        word: google.rpc's code.
        retry_after: a header.
        fields: what a BadRequest says is wrong.
        body: what is sent instead of JSON.
    """

    status: int
    code: str = ""
    message: str = "trouble"
    word: str = "UNKNOWN"
    retry_after: str = ""
    fields: tuple[str, ...] = ()
    body: str = ""

    def response(self) -> web.Response:
        """Write it as Google does."""
        details: list[dict[str, Any]] = [{"@type": FCM_ERROR, "errorCode": self.code}] if self.code else []
        if self.fields:
            violations = [{"field": name, "description": self.message} for name in self.fields]
            details.append({"@type": BAD_REQUEST, "fieldViolations": violations})
        error = {"code": self.status, "message": self.message, "status": self.word, "details": details}
        headers = {"Retry-After": self.retry_after} if self.retry_after else {}
        text = self.body or json.dumps({"error": error})
        return web.Response(status=self.status, text=text, content_type="application/json", headers=headers)


UNREGISTERED = Trouble(404, "UNREGISTERED", "Requested entity was not found.", "NOT_FOUND")
BAD_TOKEN = Trouble(
    400, "INVALID_ARGUMENT", "The registration token is not a valid FCM registration token", "INVALID_ARGUMENT"
)
BAD_PAYLOAD = Trouble(400, "INVALID_ARGUMENT", "Invalid value", "INVALID_ARGUMENT", fields=("message.data[0].value",))
SENDER_ID_MISMATCH = Trouble(403, "SENDER_ID_MISMATCH", "SenderId mismatch", "PERMISSION_DENIED")
QUOTA_EXCEEDED = Trouble(429, "QUOTA_EXCEEDED", "Quota exceeded", "RESOURCE_EXHAUSTED")
UNAVAILABLE = Trouble(503, "UNAVAILABLE", "The service is currently unavailable.", "UNAVAILABLE")
INTERNAL = Trouble(500, "INTERNAL", "Internal error encountered.", "INTERNAL")
THIRD_PARTY_AUTH_ERROR = Trouble(401, "THIRD_PARTY_AUTH_ERROR", "Auth error from APNS", "UNAUTHENTICATED")
NOT_LET_IN = Trouble(401, "", "Request had invalid authentication credentials.", "UNAUTHENTICATED")
FORBIDDEN = Trouble(403, "", "Cloud Messaging API has not been used in project 1 before", "PERMISSION_DENIED")


@dataclass
class FcmStandIn:
    """Be Google, on one port of this machine.

    Attributes:
        public_key: of the service account.
        url: where it listens, also after it was closed.
        assertions: what access tokens were asked for with.
        issued: access tokens that let in.
        messages: what was taken, in order.
        tries: sends by device, whatever came of them.
        got: messages taken, by device.
        troubles: by device, what to answer first; then all is well.
        trouble: what to answer to everybody, while it is set.
        no_token: what to answer to whoever asks for an access token, while it is set.
        may_answer: cleared, every send waits.
        under_way: sends that have come and wait.
    """

    public_key: RSAPublicKey
    url: str = ""
    assertions: list[dict[str, Any]] = field(default_factory=list)
    issued: set[str] = field(default_factory=set)
    messages: list[dict[str, Any]] = field(default_factory=list)
    tries: Counter[str] = field(default_factory=Counter)
    got: Counter[str] = field(default_factory=Counter)
    troubles: defaultdict[str, deque[Trouble]] = field(default_factory=lambda: defaultdict(deque))
    trouble: Trouble | None = None
    no_token: Trouble | None = None
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0
    _runner: web.AppRunner | None = None
    _port: int = 0

    @property
    def texts(self) -> list[tuple[str, str]]:
        """What was taken: device and body."""
        return [(message["token"], message["notification"]["body"]) for message in self.messages]

    async def open(self) -> None:
        """Listen, on the same port as before if there was one."""
        app = web.Application()
        app.router.add_post("/token", self._token)
        app.router.add_post(f"/v1/projects/{PROJECT}/messages:send", self._send)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port, reuse_address=True).start()
        self._port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self._port}"

    async def close(self) -> None:
        """Refuse connections."""
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _token(self, request: web.Request) -> web.Response:
        form = await request.post()
        assert form["grant_type"] == GRANT_TYPE
        claims = jwt.decode(
            str(form["assertion"]),
            self.public_key,
            algorithms=["RS256"],
            audience=f"{self.url}/token",
            issuer=EMAIL,
            options={"require": ["iss", "aud", "iat", "exp"]},
        )
        assert claims["scope"] == SCOPE
        assert 0 < claims["exp"] - claims["iat"] <= 3600
        self.assertions.append(claims)
        if self.no_token is not None:
            return self.no_token.response()
        token = f"access-{len(self.assertions)}"
        self.issued.add(token)
        return web.json_response({"access_token": token, "expires_in": 3599, "token_type": "Bearer"})

    async def _send(self, request: web.Request) -> web.Response:
        if request.headers["Authorization"].removeprefix("Bearer ") not in self.issued:
            return NOT_LET_IN.response()
        body = await request.json()
        message = body["message"]
        wrong = _violations(message, _SHAPE, "message")
        if set(body) != {"message"} or wrong:
            return Trouble(400, "INVALID_ARGUMENT", word="INVALID_ARGUMENT", fields=tuple(wrong)).response()
        device = message["token"]
        self.tries[device] += 1
        self.under_way += 1
        try:
            await self.may_answer.wait()
        finally:
            self.under_way -= 1
        if self.trouble is not None:
            return self.trouble.response()
        if self.troubles[device]:
            return self.troubles[device].popleft().response()
        self.messages.append(message)
        self.got[device] += 1
        return web.json_response({"name": f"projects/{PROJECT}/messages/{len(self.messages)}"})


def _violations(value: Any, shape: Any, path: str) -> list[str]:
    """Return what FCM would find wrong."""
    if path == "message":
        too_long = len(json.dumps({**value, "token": ""}, ensure_ascii=False, separators=(",", ":")).encode())
        if too_long > MAX_MESSAGE_BYTES:
            return [path]
    if path in {"message.data", "message.apns.headers"}:
        fits = all(isinstance(word, str) for pair in value.items() for word in pair)
        reserved = any(name == "from" or name.startswith(("google", "gcm")) for name in value)
        return [] if fits and not reserved else [path]
    if not isinstance(shape, dict):
        return [] if type(value) is shape else [path]
    found = [f"{path}.{name}" for name in value if name not in shape]
    return found + [
        problem
        for name in value
        if name in shape
        for problem in _violations(value[name], shape[name], f"{path}.{name}")
    ]


@asynccontextmanager
async def running(public_key: RSAPublicKey) -> AsyncIterator[FcmStandIn]:
    """Run the stand-in."""
    stand_in = FcmStandIn(public_key)
    stand_in.may_answer.set()
    await stand_in.open()
    try:
        yield stand_in
    finally:
        stand_in.may_answer.set()
        await stand_in.close()
