"""Answer the calls of the chat service: the app's on the public port, auth's on the internal one."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from services.chat.errors import Refusal
from services.chat.keys import CHAT, SETTINGS, SOCKETS, STORE
from services.chat.models import Page, Room, User
from services.chat.names import make_topic, parse_text
from services.chat.store import MAX_ID
from services.errors import Invalid, NotFound
from services.web import NO_NUL, Line, authenticate, json_response, read_json


class NewUser(msgspec.Struct):
    """Be the body of POST /internal/users."""

    identity: Line
    name: Annotated[str, msgspec.Meta(max_length=255, pattern=NO_NUL)] | None = None


class NewRoom(msgspec.Struct):
    """Be the body of POST /channels."""

    channel_name: str


class Invitation(msgspec.Struct):
    """Be the body of POST /channels/join."""

    topic: Line


class Departure(msgspec.Struct):
    """Be the body of POST /channels/leave."""

    channel_id: int


class TestAnswer(msgspec.Struct):
    """Be the answer of GET /test."""

    test: str = "success"


class UserAnswer(msgspec.Struct):
    """Be the answer of POST /internal/users."""

    user: User


class RoomsAnswer(msgspec.Struct):
    """Be the answer of GET /channels."""

    data: list[Room]


class RoomAnswer(msgspec.Struct):
    """Be the answer of POST /channels."""

    data: Room


class PageAnswer(msgspec.Struct):
    """Be the answer of GET /channels/:id/events."""

    data: Page


class Success(msgspec.Struct):
    """Be the answer of a join and of a leave."""

    success: bool = True


def add_public_routes(app: web.Application) -> None:
    """Add what the gateway's prefix /chat/ reaches."""
    app.router.add_get("/test", test)
    app.router.add_get("/channels", list_rooms)
    app.router.add_post("/channels", create_room)
    app.router.add_post("/channels/join", join_room)
    app.router.add_post("/channels/leave", leave_room)
    app.router.add_get("/channels/{id}/events", list_events)
    app.router.add_get("/socket/websocket", open_socket, allow_head=False)


def add_internal_routes(app: web.Application) -> None:
    """Add what the auth service calls."""
    app.router.add_post("/internal/users", ensure_user)


async def test(_request: web.Request) -> web.Response:
    """Say that the service answers."""
    return json_response(TestAnswer())


async def ensure_user(request: web.Request) -> web.Response:
    """Make a chat user, or return the one of this identity."""
    body = await read_json(request, NewUser)
    return json_response(UserAnswer(await request.app[STORE].ensure_user(body.identity, body.name)))


async def list_rooms(request: web.Request) -> web.Response:
    """List the caller's rooms."""
    claims = authenticate(request)
    return json_response(RoomsAnswer(await request.app[STORE].list_rooms(claims.identity)))


async def create_room(request: web.Request) -> web.Response:
    """Make a room with the caller in it."""
    claims = authenticate(request)
    body = await read_json(request, NewRoom)
    most = request.app[SETTINGS].limits.name_characters
    try:
        name = parse_text("channel_name", body.channel_name, most=most)
    except Refusal as error:
        raise Invalid(f"The body does not fit: {error.reason}.") from error
    room = await request.app[STORE].create_room(claims.identity, name, make_topic(name))
    return json_response(RoomAnswer(room))


async def join_room(request: web.Request) -> web.Response:
    """Make the caller a participant of the room whose invitation they hold."""
    claims = authenticate(request)
    body = await read_json(request, Invitation)
    await request.app[CHAT].join_room(claims.identity, body.topic)
    return json_response(Success())


async def leave_room(request: web.Request) -> web.Response:
    """End the caller's part in a room."""
    claims = authenticate(request)
    body = await read_json(request, Departure)
    await request.app[CHAT].leave_room(claims.identity, _stored_id(body.channel_id))
    return json_response(Success())


async def list_events(request: web.Request) -> web.Response:
    """Return a page of a room's history."""
    claims = authenticate(request)
    raw_before = request.query.get("last_message_id", "")
    if raw_before and not _is_digits(raw_before):
        raise Invalid("The parameter last_message_id must be a message's id.")
    before = min(int(raw_before), MAX_ID) if raw_before else MAX_ID
    page = await request.app[STORE].page(claims.identity, path_id(request), before)
    return json_response(PageAnswer(page))


async def open_socket(request: web.Request) -> web.StreamResponse:
    """Upgrade to a websocket."""
    return await request.app[SOCKETS].handle(request)


def path_id(request: web.Request, name: str = "id") -> int:
    """Return an id out of the path.

    Raises:
        NotFound: it cannot be the id of anything.
    """
    raw = request.match_info[name]
    if not _is_digits(raw) or not 0 < int(raw) <= MAX_ID:
        raise NotFound("There is nothing of that kind here.")
    return int(raw)


def _stored_id(value: int) -> int:
    """Return an id that Postgres can hold; no other names anything."""
    if not 0 < value <= MAX_ID:
        raise NotFound("There is no such channel.")
    return value


def _is_digits(text: str) -> bool:
    # Twenty digits exceed a bigint already, and Python refuses to read thousands.
    return text.isascii() and text.isdigit() and len(text) <= 20  # noqa: PLR2004
