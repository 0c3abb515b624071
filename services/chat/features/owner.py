"""Let a room's owner remove a member, rename the room and renew its invitation.

The owner is who has taken part without a break for longest; when the owner leaves, the next one is.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import asyncpg
import msgspec
from aiohttp import web

from services.chat.bus import Cut, Moved, Note, Told, tell_message
from services.chat.chat import Chat
from services.chat.features import sql
from services.chat.features.doors import Pace, refusing
from services.chat.happenings import add_info
from services.chat.models import Room
from services.chat.names import make_topic, parse_text, room_topic
from services.chat.routes import NewRoom, RoomAnswer, Success, path_id
from services.chat.store import MAX_ID, Store
from services.database import Connection, Database
from services.errors import Conflict, NotFound
from services.openapi import Operation
from services.web import authenticate, json_response, read_json


class Removal(msgspec.Struct):
    """Be the body of POST /channels/:id/remove."""

    member_id: int


class Owner:
    """Do what an owner may.

    Args:
        database: where rooms are kept.
        store: finds places in them.
        chat: gives each act its turn among the room's messages.
        publish: takes notes for the room.
        pace: of one person.
        name_characters: that a room's name may have.
    """

    def __init__(
        self,
        database: Database,
        store: Store,
        chat: Chat,
        publish: Callable[[Note], None],
        pace: Pace,
        *,
        name_characters: int,
    ) -> None:
        self._database = database
        self._store = store
        self._chat = chat
        self._publish = publish
        self._pace = pace
        self._name_characters = name_characters

    async def remove(self, identity: str, channel_id: int, member_id: int) -> None:
        """End a member's part in the room at once, on all of their sockets; the invitation of today is void for them.

        Raises:
            NotFound: the caller takes no part in such a room, or the member takes none.
            Conflict: the caller does not own it, or means themselves.
            TooManyRequests: too often.
        """

        async def act(connection: Connection, row: asyncpg.Record) -> Callable[[], None]:
            if member_id == row["member_id"]:
                raise Conflict("An owner leaves; nobody can remove themselves.", code="yourself")
            known = member_id if 0 < member_id <= MAX_ID else None
            removed = await connection.fetchrow(sql.REMOVE_MEMBER, known, channel_id)
            if removed is None:
                raise NotFound("There is no such member.")
            name = removed["friendly_name"]
            stored = await add_info(connection, "remove_chat", channel_id, removed["id"], name)
            await self._store.announce_leave(connection, row["topic"], removed["identity"], stored)
            topic = room_topic(row["topic"])

            def tell() -> None:
                self._publish(Cut(topic, removed["identity"], stored.message.id))
                self._publish(tell_message(topic, stored.message, stored.after))

            return tell

        await self._act(identity, channel_id, act)

    async def rename(self, identity: str, channel_id: int, name: str) -> Room:
        """Give the room another name and tell it; its topic stays.

        Raises:
            Refusal: the name breaks a rule.
            NotFound: the caller takes no part in such a room.
            Conflict: the caller does not own it.
            TooManyRequests: too often.
        """
        parse_text("channel_name", name, most=self._name_characters)
        rooms: list[Room] = []

        async def act(connection: Connection, row: asyncpg.Record) -> Callable[[], None]:
            rooms.append(await _change(connection, sql.RENAME, channel_id, name))
            return lambda: self._publish(Told(room_topic(row["topic"]), "channel", rooms[0]))

        await self._act(identity, channel_id, act)
        return rooms[0]

    async def renew(self, identity: str, channel_id: int) -> Room:
        """Give the room another topic: the old invitation lets nobody in, the new one even those who were removed.

        Sockets in the room are told the new topic and then closed, since everything on them names the old one.

        Raises:
            NotFound: the caller takes no part in such a room.
            Conflict: the caller does not own it.
            TooManyRequests: too often.
        """
        rooms: list[Room] = []

        async def act(connection: Connection, row: asyncpg.Record) -> Callable[[], None]:
            rooms.append(await _change(connection, sql.RENEW, channel_id, make_topic(row["friendly_name"] or "")))
            await connection.execute(sql.FORGIVE, channel_id)
            old, new = room_topic(row["topic"]), room_topic(rooms[0].topic)

            def tell() -> None:
                self._publish(Told(old, "channel", rooms[0]))
                self._publish(Moved(old, new))

            return tell

        await self._act(identity, channel_id, act)
        return rooms[0]

    async def _act(
        self,
        identity: str,
        channel_id: int,
        act: Callable[[Connection, asyncpg.Record], Awaitable[Callable[[], None]]],
    ) -> None:
        """Do what only the owner may, in its turn among the room's messages, and tell it once it is stored."""
        self._pace.check(identity)
        place = await self._store.find_place(identity, channel_id)

        async def work() -> None:
            async with self._database.transaction() as connection:
                await self._store.hold(connection, channel_id)
                row = await connection.fetchrow(sql.AUTHORITY, identity, channel_id)
                if row is None:
                    raise NotFound("There is no such channel.")
                if not row["is_owner"]:
                    raise Conflict("Only the owner of the channel can do this.", code="not_owner")
                tell = await act(connection, row)
            tell()

        await self._chat.take_turn(room_topic(place.topic), work)


async def _change(connection: Connection, statement: str, channel_id: int, value: str) -> Room:
    row = await connection.fetchrow(statement, channel_id, value)
    assert row is not None  # noqa: S101  # the row is locked
    return Room(**row)


OWNER = web.AppKey("owner", Owner)
_ERRORS = (404, 409, 429)
_BODY = (400, 413, 422)
OPERATIONS = (
    Operation(
        "post",
        "/channels/{id}/remove",
        "Remove a member from a channel that the caller owns.",
        Success,
        body=Removal,
        bearer=True,
        errors=(*_ERRORS, *_BODY),
    ),
    Operation(
        "patch",
        "/channels/{id}",
        "Rename a channel that the caller owns.",
        RoomAnswer,
        body=NewRoom,
        bearer=True,
        errors=(*_ERRORS, *_BODY),
    ),
    Operation(
        "post",
        "/channels/{id}/renew",
        "Make a new invitation for a channel that the caller owns, and void the old one.",
        RoomAnswer,
        bearer=True,
        errors=_ERRORS,
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the calls; the application holds OWNER."""
    app.router.add_post("/channels/{id}/remove", remove_member)
    app.router.add_patch("/channels/{id}", rename_room)
    app.router.add_post("/channels/{id}/renew", renew_invitation)


async def remove_member(request: web.Request) -> web.Response:
    """Remove a member."""
    claims = authenticate(request)
    body = await read_json(request, Removal)
    await request.app[OWNER].remove(claims.identity, path_id(request), body.member_id)
    return json_response(Success())


async def rename_room(request: web.Request) -> web.Response:
    """Rename a room."""
    claims = authenticate(request)
    body = await read_json(request, NewRoom)
    with refusing():
        room = await request.app[OWNER].rename(claims.identity, path_id(request), body.channel_name)
    return json_response(RoomAnswer(room))


async def renew_invitation(request: web.Request) -> web.Response:
    """Renew a room's invitation."""
    claims = authenticate(request)
    return json_response(RoomAnswer(await request.app[OWNER].renew(claims.identity, path_id(request))))
