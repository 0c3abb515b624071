"""Let people change and take back what they said; the room's owner may take back what others said.

A deleted message stays as a tombstone, so that pages, replays and markers keep their place: its body is empty, its
stamps are gone, and what it said is nowhere but in a report that quoted it before.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from aiohttp import web

from services.chat import sql as core_sql
from services.chat.bus import Told
from services.chat.chat import Chat, read_object
from services.chat.errors import Refusal
from services.chat.extensions import Event, Extension, Joined
from services.chat.features import sql
from services.chat.features.doors import Pace, find_place, refusing
from services.chat.models import ChatMessage, Seat, message_from
from services.chat.names import parse_id, parse_text, room_topic
from services.chat.related import fetch_stamps
from services.chat.routes import path_id
from services.database import Connection, Database
from services.errors import Conflict, NotFound
from services.openapi import Operation
from services.web import authenticate, json_response, read_json


class NewBody(msgspec.Struct):
    """Be the body of PATCH /channels/:id/messages/:message_id."""

    message: str


class MessageAnswer(msgspec.Struct):
    """Be the answer of an edit and of a deletion."""

    data: ChatMessage


class Edits(Extension):
    """Change messages.

    Args:
        database: where they are kept.
        chat: gives each change its turn among the room's messages.
        publish: tells a room.
        pace: of one member.
        body_characters: that a message may have.
        edit_seconds: how long after it was said it may be edited; 0 for ever.
        most_changes: that a client is told of when it comes back.
    """

    def __init__(
        self,
        database: Database,
        chat: Chat,
        publish: Callable[[Told], None],
        pace: Pace,
        *,
        body_characters: int,
        edit_seconds: int,
        most_changes: int,
    ) -> None:
        self._database = database
        self._chat = chat
        self._publish = publish
        self._pace = pace
        self._body_characters = body_characters
        self._edit_seconds = edit_seconds
        self._most_changes = most_changes
        self.events = {"edit": self._on_edit, "delete": self._on_delete}

    async def edit(self, seat: Seat, topic: str, message_id: int, text: Any) -> ChatMessage:
        """Change what a message of one's own says, and tell the room; its stamps stay, and are not told again.

        Args:
            seat: whose message it is.
            topic: "room:<topic>".
            message_id: which.
            text: what it says from now on; the same again changes nothing.

        Raises:
            Refusal: the text breaks a rule, or the member takes no part in the room any more.
            NotFound: there is no such message in the room.
            Conflict: it is another's, or deleted, or too old.
            TooManyRequests: too often.
        """
        body = parse_text("message", text, most=self._body_characters)
        self._pace.check(seat.member_id)

        async def work() -> ChatMessage:
            async with self._database.transaction() as connection:
                row = await _find(connection, seat, message_id)
                self._check_edit(row)
                changed = row["body"] != body
                if changed:
                    row = await _change(connection, sql.EDIT, message_id, body)
            message = message_from(row)
            if changed:
                self._tell(topic, "edit", message)
            return message

        return await self._chat.take_turn(topic, work)

    async def delete(self, seat: Seat, topic: str, message_id: int) -> ChatMessage:
        """Make a tombstone of a message of one's own, or of anybody's in a room that one owns, and tell the room.

        Args:
            seat: of who asks.
            topic: "room:<topic>".
            message_id: which; one that is a tombstone already stays as it is.

        Raises:
            Refusal: the member takes no part in the room any more.
            NotFound: there is no such message in the room.
            Conflict: it is another's.
            TooManyRequests: too often.
        """
        self._pace.check(seat.member_id)

        async def work() -> ChatMessage:
            async with self._database.transaction() as connection:
                row = await _find(connection, seat, message_id)
                if row["type"] == "chat_info" or not (row["is_mine"] or row["is_owner"]):
                    raise Conflict(
                        "Only its author or the owner of the channel can delete a message.", code="not_yours"
                    )
                if row["deleted_at"] is not None:
                    return message_from(row)
                await connection.execute(sql.DELETE_STAMPS, message_id)
                row = await _change(connection, sql.DELETE, message_id)
            message = message_from(row)
            self._tell(topic, "delete", message)
            return message

        return await self._chat.take_turn(topic, work)

    async def joined(self, joined: Joined) -> None:
        """Tell a client that asks for it what was changed since it was here."""
        asked = joined.payload.get("changes_since") if isinstance(joined.payload, dict) else None
        if asked is None:
            return
        since = _parse_moment(asked)
        async with self._database.connection() as connection:
            # The client asks with it another time, so it is the clock by which changes are written.
            now = await connection.fetchval(sql.MOMENT)
            changed = None if since is None else await self._changes(connection, joined.seat, since)
        payload = {"messages": changed or [], "complete": changed is not None, "now": now}
        joined.push("changes", payload)

    async def _changes(self, connection: Connection, seat: Seat, since: datetime) -> list[ChatMessage] | None:
        """Return what was changed, oldest change first; None when it was too much."""
        most = self._most_changes
        rows = await connection.fetch(sql.CHANGES, seat.channel_id, since, most + 1, list(seat.muted))
        stamps = await fetch_stamps(connection, rows, seat.muted)
        if len(rows) > most:
            return None
        return [message_from(row, tuple(stamps[row["id"]])) for row in reversed(rows)]

    def _check_edit(self, row: asyncpg.Record) -> None:
        if row["type"] == "chat_info" or not row["is_mine"]:
            raise Conflict("Only its author can edit a message.", code="not_yours")
        if row["deleted_at"] is not None:
            raise Conflict("The message was deleted.", code="deleted")
        if self._edit_seconds and row["age"] > self._edit_seconds:
            raise Conflict(f"A message can be edited for {self._edit_seconds} s.", code="too_late")

    def _tell(self, topic: str, event: str, message: ChatMessage) -> None:
        # Whoever does not hear the author has no such message.
        self._publish(Told(topic, event, {"data": message}, author=message.member_id or 0))

    async def _on_edit(self, event: Event) -> dict[str, Any]:
        fields = read_object(event.payload)
        message_id = parse_id("message_id", fields.get("message_id"))
        return {"data": await self.edit(event.seat, event.topic, message_id, fields.get("message"))}

    async def _on_delete(self, event: Event) -> dict[str, Any]:
        message_id = parse_id("message_id", read_object(event.payload).get("message_id"))
        return {"data": await self.delete(event.seat, event.topic, message_id)}


async def _find(connection: Connection, seat: Seat, message_id: int) -> asyncpg.Record:
    """Return a message, held against other changes until the transaction ends."""
    row = await connection.fetchrow(sql.ABOUT_MESSAGE, seat.member_id, message_id)
    if row is not None:
        return row
    if await connection.fetchval(core_sql.STILL_PARTICIPANT, seat.member_id):
        raise NotFound("There is no such message.")
    raise Refusal("unauthorized")


async def _change(connection: Connection, statement: str, *values: Any) -> asyncpg.Record:
    row = await connection.fetchrow(statement, *values)
    assert row is not None  # noqa: S101  # the row is locked
    return row


def _parse_moment(value: Any) -> datetime | None:
    """Read a moment as the wire writes it, with or without a zone; None when it is none."""
    try:
        moment = datetime.fromisoformat(value)
        return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)
    except (TypeError, ValueError, OverflowError):
        return None


EDITS = web.AppKey("edits", Edits)
_PATH = "/channels/{id}/messages/{message_id}"
OPERATIONS = (
    Operation(
        "patch",
        _PATH,
        "Change what a message of the caller's says.",
        MessageAnswer,
        body=NewBody,
        bearer=True,
        errors=(400, 404, 409, 413, 422, 429),
    ),
    Operation(
        "delete",
        _PATH,
        "Make a tombstone of a message of the caller's, or of anybody's in a channel that the caller owns.",
        MessageAnswer,
        bearer=True,
        errors=(404, 409, 429),
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the calls; the application holds EDITS."""
    app.router.add_patch(_PATH, edit_message)
    app.router.add_delete(_PATH, delete_message)


async def edit_message(request: web.Request) -> web.Response:
    """Change a message."""
    authenticate(request)
    body = await read_json(request, NewBody)
    place, message_id = await find_place(request), path_id(request, "message_id")
    with refusing():
        message = await request.app[EDITS].edit(place.seat, room_topic(place.topic), message_id, body.message)
    return json_response(MessageAnswer(message))


async def delete_message(request: web.Request) -> web.Response:
    """Delete a message."""
    place, message_id = await find_place(request), path_id(request, "message_id")
    with refusing():
        message = await request.app[EDITS].delete(place.seat, room_topic(place.topic), message_id)
    return json_response(MessageAnswer(message))
