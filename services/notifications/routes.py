"""Answer the calls of the notifications service: the app's on the public port, chat's on the internal one."""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
from aiohttp import web

from services.errors import Invalid
from services.notifications.keys import PUSHER, STORE
from services.notifications.payload import MAX_COLLAPSE_BYTES, trim
from services.notifications.push import Notice
from services.web import NO_NUL, Line, authenticate, json_response, read_json

MAX_IDENTITIES = 10_000
MAX_BATCH = 500
# FCM's payload has room for 4096 bytes in all, and keeps some keys to itself.
MAX_DATA_BYTES = 2048
MAX_BADGE = 1_000_000
MAX_RANK = (1 << 63) - 1
COLLAPSE_KEY = rf"\A[!-~]{{0,{MAX_COLLAPSE_BYTES}}}\Z"
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
    """Be the body of POST /internal/notify.

    Attributes:
        identities: whom to tell.
        notification: what their devices show.
        data: what the app gets.
        key: names what is told; the same key again tells no device twice. Without one every call is new.
        collapse_key: of those that wait for one device, only the one of the highest rank goes out.
        rank: rises with what is newer.
        badges: the number on the app's icon, by identity.
    """

    identities: Annotated[list[Line], msgspec.Meta(max_length=MAX_IDENTITIES)]
    notification: Notification
    data: dict[Annotated[str, msgspec.Meta(pattern=DATA_KEY)], Annotated[str, msgspec.Meta(pattern=NO_NUL)]]
    key: Annotated[str, msgspec.Meta(min_length=1, max_length=128, pattern=NO_NUL)] | None = None
    collapse_key: Annotated[str, msgspec.Meta(pattern=COLLAPSE_KEY)] = ""
    rank: Annotated[int, msgspec.Meta(ge=0, le=MAX_RANK)] = 0
    badges: dict[str, Annotated[int, msgspec.Meta(ge=0, le=MAX_BADGE)]] = {}


class NotifyBatchRequest(msgspec.Struct):
    """Be the body of POST /internal/notify/batch: all of them are taken over, or none is."""

    notifications: Annotated[list[NotifyRequest], msgspec.Meta(max_length=MAX_BATCH)]


def add_public_routes(app: web.Application) -> None:
    """Add what the gateway's prefix /notifications/ reaches."""
    app.router.add_get("/test", test)
    app.router.add_post("/register", register)
    app.router.add_post("/unregister", unregister)


def add_internal_routes(app: web.Application) -> None:
    """Add what the chat service calls."""
    app.router.add_post("/internal/notify", notify)
    app.router.add_post("/internal/notify/batch", notify_batch)


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
    """Take over what every device of some people is to be told."""
    notice = _notice(await read_json(request, NotifyRequest))
    return json_response({"result": (await request.app[PUSHER].take([notice]))[0]})


async def notify_batch(request: web.Request) -> web.Response:
    """Take over many at once, in one commit."""
    body = await read_json(request, NotifyBatchRequest)
    notices = [_notice(one) for one in body.notifications]
    return json_response({"results": await request.app[PUSHER].take(notices)})


def _notice(body: NotifyRequest) -> Notice:
    if len(msgspec.json.encode(body.data)) > MAX_DATA_BYTES:
        raise Invalid(f"The data are over {MAX_DATA_BYTES} bytes.")
    return Notice(
        key=body.key or f"call:{secrets.token_hex(16)}",
        identities=body.identities,
        payload=trim(body.notification.title, body.notification.body, body.data),
        collapse_key=body.collapse_key,
        rank=body.rank,
        badges=body.badges,
    )
