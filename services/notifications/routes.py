"""Answer the calls of the notifications service: the app's on the public port, chat's on the internal one."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from services.errors import Invalid
from services.notifications.keys import PUSHER, STORE
from services.notifications.push import Push
from services.web import NO_NUL, Line, authenticate, json_response, read_json

MAX_IDENTITIES = 10_000
# FCM's payload has room for 4096 bytes in all, and keeps some keys to itself.
MAX_DATA_BYTES = 1024
DATA_KEY = r"\A(?!from\Z|gcm\Z|google)[^\x00]+\Z"


class RegisterRequest(msgspec.Struct):
    """Be the body of POST /register: the device's FCM token."""

    token: Line


class UnregisterRequest(msgspec.Struct):
    """Be the body of POST /unregister: one device, or none for all of the caller's."""

    token: Line | None = None


class Notification(msgspec.Struct):
    """Be what the device shows."""

    title: Annotated[str, msgspec.Meta(max_length=1000, pattern=NO_NUL)]
    body: Annotated[str, msgspec.Meta(max_length=100_000, pattern=NO_NUL)]


class NotifyRequest(msgspec.Struct):
    """Be the body of POST /internal/notify."""

    identities: Annotated[list[Line], msgspec.Meta(max_length=MAX_IDENTITIES)]
    notification: Notification
    data: dict[Annotated[str, msgspec.Meta(pattern=DATA_KEY)], str]


def add_public_routes(app: web.Application) -> None:
    """Add what the gateway's prefix /notifications/ reaches."""
    app.router.add_get("/test", test)
    app.router.add_post("/register", register)
    app.router.add_post("/unregister", unregister)


def add_internal_routes(app: web.Application) -> None:
    """Add what the chat service calls."""
    app.router.add_post("/internal/notify", notify)


async def test(_request: web.Request) -> web.Response:
    """Say that the service answers."""
    return json_response({"status": "notifications ok"})


async def register(request: web.Request) -> web.Response:
    """Make a device the caller's."""
    claims = authenticate(request)
    body = await read_json(request, RegisterRequest)
    device = await request.app[STORE].register(claims.identity, body.token, minted_at=claims.iat)
    return json_response(device.public())


async def unregister(request: web.Request) -> web.Response:
    """Forget one device of the caller, or all of them."""
    claims = authenticate(request)
    body = await read_json(request, UnregisterRequest) if await request.read() else UnregisterRequest()
    await request.app[STORE].unregister(claims.identity, body.token)
    return json_response(True)


async def notify(request: web.Request) -> web.Response:
    """Push to every device of some people."""
    body = await read_json(request, NotifyRequest)
    if sum(len(word.encode(errors="replace")) for pair in body.data.items() for word in pair) > MAX_DATA_BYTES:
        raise Invalid(f"The data are over {MAX_DATA_BYTES} bytes.")
    push = Push(title=body.notification.title, body=body.notification.body, data=body.data)
    return json_response({"result": await request.app[PUSHER].notify(body.identities, push)})
