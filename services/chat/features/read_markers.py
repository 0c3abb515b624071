"""Remember how far each member has read, on all of their devices, and tell the room."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from services.chat.bus import Told
from services.chat.chat import read_object
from services.chat.errors import Refusal
from services.chat.extensions import Event, Extension
from services.chat.features import sql
from services.chat.features.doors import Pace, find_place, refusing
from services.chat.features.gathering import Gathering
from services.chat.models import Seat
from services.chat.names import parse_id, room_topic
from services.chat.room import Rooms
from services.database import Database
from services.openapi import Operation
from services.web import authenticate, json_response, read_json

# A room of a hundred is told of twenty markers a moment, one of two thousand of a single one: everybody's marker moves
# at every message, so telling each of them at once would grow with the square of the room.
DELIVERIES = 2000


class Mark(msgspec.Struct):
    """Be the body of POST /channels/:id/read."""

    message_id: int


class Marked(msgspec.Struct):
    """Say how far the caller has read now."""

    last_read_message_id: int


class MarkedAnswer(msgspec.Struct):
    """Be the answer of POST /channels/:id/read."""

    data: Marked


class Marker(msgspec.Struct):
    """Say how far a member has read."""

    member_id: int
    message_id: int


class MarkersAnswer(msgspec.Struct):
    """Be the answer of GET /channels/:id/read."""

    data: list[Marker]


class ReadMarkers(Extension):
    """Move markers forward.

    Args:
        database: where they are kept.
        publish: tells a room.
        rooms: says how many listen.
        pace: of one member.
    """

    def __init__(self, database: Database, publish: Callable[[Told], None], rooms: Rooms, pace: Pace) -> None:
        self._database = database
        self._publish = publish
        self._rooms = rooms
        self._pace = pace
        self._waiting: dict[str, dict[int, int]] = {}
        self._gathering = Gathering(self._tell)
        self.events = {"read": self._on_read}

    async def read(self, seat: Seat, topic: str, message_id: int) -> int:
        """Move a member's marker, never back, and return where it is.

        Args:
            seat: whose.
            topic: "room:<topic>".
            message_id: the last message that was read.

        Raises:
            Refusal: the member takes no part in the room any more, or the message is not in it.
            TooManyRequests: too often.
        """
        self._pace.check(seat.member_id)
        async with self._database.connection() as connection:
            moved: int | None = await connection.fetchval(sql.READ, seat.member_id, message_id)
            if moved is None:
                state = await connection.fetchrow(sql.READ_STATE, seat.member_id, message_id)
                if state is None:
                    raise Refusal("unauthorized")
                if not state["is_known"]:
                    raise Refusal("message_id names no message of this room")
                return int(state["last_read_message_id"])
        waiting = self._waiting.setdefault(topic, {})
        waiting[seat.member_id] = max(moved, waiting.get(seat.member_id, 0))
        self._gathering.touch(topic)
        return moved

    async def markers(self, seat: Seat) -> list[Marker]:
        """Return how far the members of a room have read, those whom the person does not hear left out."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.MARKERS, seat.channel_id, list(seat.muted))
        return [Marker(**row) for row in rows]

    def close(self) -> None:
        """Tell nothing more."""
        self._gathering.close()

    async def _on_read(self, event: Event) -> dict[str, Any]:
        message_id = parse_id("message_id", read_object(event.payload).get("message_id"))
        return {"last_read_message_id": await self.read(event.seat, event.topic, message_id)}

    def _tell(self, topic: str) -> bool:
        """Tell as many of the markers that wait as a moment may hold."""
        waiting = self._waiting[topic]
        listeners = len(self._rooms.identities(topic))
        for member_id in list(waiting)[: max(1, DELIVERIES // max(1, listeners))]:
            message_id = waiting.pop(member_id)
            if listeners:
                payload = {"member_id": member_id, "message_id": message_id}
                self._publish(Told(topic, "read", payload, author=member_id))
        if not waiting:
            del self._waiting[topic]
        return bool(waiting)


READ_MARKERS = web.AppKey("read_markers", ReadMarkers)
OPERATIONS = (
    Operation(
        "post",
        "/channels/{id}/read",
        "Move the caller's marker to the last message that was read; it never goes back.",
        MarkedAnswer,
        body=Mark,
        bearer=True,
        errors=(400, 404, 413, 422, 429),
    ),
    Operation(
        "get",
        "/channels/{id}/read",
        "Say how far the members have read.",
        MarkersAnswer,
        bearer=True,
        errors=(404,),
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the calls; the application holds READ_MARKERS."""
    app.router.add_post("/channels/{id}/read", mark_read)
    app.router.add_get("/channels/{id}/read", list_markers)


async def mark_read(request: web.Request) -> web.Response:
    """Move the caller's marker."""
    authenticate(request)
    body = await read_json(request, Mark)
    place = await find_place(request)
    with refusing():
        message_id = parse_id("message_id", body.message_id)
        moved = await request.app[READ_MARKERS].read(place.seat, room_topic(place.topic), message_id)
    return json_response(MarkedAnswer(Marked(moved)))


async def list_markers(request: web.Request) -> web.Response:
    """Return everybody's marker."""
    place = await find_place(request)
    return json_response(MarkersAnswer(await request.app[READ_MARKERS].markers(place.seat)))
