"""Tell the clients that ask for it who is in a room, in the format of Phoenix.Presence.

A key is a member's id, as a string, and each of the member's sockets is one meta. What happens within a moment is told
in one presence_diff. A socket that comes and goes within it is in both halves, which phoenix.js reads as joins first,
leaves then: so it is right also for whoever was sent a presence_state in between.
"""

from __future__ import annotations

import itertools
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from services.chat.extensions import Extension, Joined
from services.chat.features.gathering import SECONDS, Gathering
from services.chat.models import Seat


@dataclass(frozen=True, slots=True)
class Arrived:
    """Note that a socket is in a room.

    Attributes:
        topic: "room:<topic>".
        member_id: whose.
        ref: names the socket's stay in the room, and nothing else anywhere.
        since: when it came, in seconds since 1970.
    """

    topic: str
    member_id: int
    ref: str
    since: int


@dataclass(frozen=True, slots=True)
class Gone:
    """Note that a socket is in a room no more."""

    topic: str
    ref: str


PresenceNote: TypeAlias = Arrived | Gone
Push: TypeAlias = Callable[[str, Any], None]


@dataclass(slots=True)
class _Room:
    metas: dict[str, Arrived] = field(default_factory=dict)
    watchers: dict[object, Push] = field(default_factory=dict)
    joins: list[Arrived] = field(default_factory=list)
    leaves: list[Arrived] = field(default_factory=list)
    is_crowded: bool = False


class Presence(Extension):
    """Know who is where.

    Everybody who joins is counted; only who joined with {"presence": true} is told. In a crowd nobody is shown, since
    everybody would be told of everybody: its watchers get an empty state, and a whole one when it has thinned out.

    Args:
        most: sockets in a room that is shown.
        publish: carries notes to every process that has sockets, deliver() of this one included; without it they go
            to this one alone.
        seconds: for which what happens is gathered.
    """

    def __init__(
        self, most: int, publish: Callable[[PresenceNote], None] | None = None, *, seconds: float = SECONDS
    ) -> None:
        self._most = most
        self._publish = self.deliver if publish is None else publish
        self._rooms: dict[str, _Room] = {}
        self._refs: dict[object, str] = {}
        # No two processes give the same ref.
        self._prefix = secrets.token_urlsafe(6)
        self._numbers = itertools.count(1)
        self._gathering = Gathering(self._tell, seconds=seconds)

    async def joined(self, joined: Joined) -> None:
        """Count the socket, and show it the room if it asks for that."""
        self._refs[joined.session_key] = ref = f"{self._prefix}{next(self._numbers):x}"
        if isinstance(joined.payload, dict) and joined.payload.get("presence") is True:
            self._rooms.setdefault(joined.topic, _Room()).watchers[joined.session_key] = joined.push
        now = int(datetime.now(UTC).timestamp())
        self._publish(Arrived(joined.topic, joined.seat.member_id, ref, now))
        room = self._rooms.get(joined.topic)
        if room is not None and joined.session_key in room.watchers:
            joined.push("presence_state", {} if self._is_crowded(room) else _format(room.metas.values()))

    def left(self, topic: str, identity: str, seat: Seat, session_key: object) -> None:
        """Count the socket no more."""
        del identity, seat
        ref = self._refs.pop(session_key, None)
        if ref is None:
            return
        room = self._rooms.get(topic)
        if room is not None:
            room.watchers.pop(session_key, None)
        self._publish(Gone(topic, ref))

    def deliver(self, note: PresenceNote) -> None:
        """Take a note, of this process or of another."""
        match note:
            case Arrived():
                room = self._rooms.setdefault(note.topic, _Room())
                room.metas[note.ref] = note
                self._change(note.topic, room, room.joins, note)
            case Gone():
                left = self._rooms.get(note.topic)
                meta = left.metas.pop(note.ref, None) if left is not None else None
                if left is not None and meta is not None:
                    self._change(note.topic, left, left.leaves, meta)

    def close(self) -> None:
        """Tell nothing more."""
        self._gathering.close()

    def _change(self, topic: str, room: _Room, changes: list[Arrived], meta: Arrived) -> None:
        if room.watchers:
            changes.append(meta)
            self._gathering.touch(topic)
        else:
            room.joins.clear()
            room.leaves.clear()
            if not room.metas:
                del self._rooms[topic]

    def _tell(self, topic: str) -> bool:
        room = self._rooms.get(topic)
        if room is None:
            return False
        joins, leaves = room.joins, room.leaves
        room.joins, room.leaves = [], []
        was_crowded, room.is_crowded = room.is_crowded, self._is_crowded(room)
        if room.is_crowded:
            if not was_crowded:
                _push(room, "presence_state", {})
        elif was_crowded:
            _push(room, "presence_state", _format(room.metas.values()))
        else:
            _push(room, "presence_diff", {"joins": _format(joins), "leaves": _format(leaves)})
        return False

    def _is_crowded(self, room: _Room) -> bool:
        return len(room.metas) > self._most

    def __len__(self) -> int:
        return len(self._rooms)


def _push(room: _Room, event: str, payload: Any) -> None:
    # Encoded once for all of them.
    encoded = msgspec.Raw(msgspec.json.encode(payload))
    for push in tuple(room.watchers.values()):
        push(event, encoded)


def _format(metas: Iterable[Arrived]) -> dict[str, Any]:
    present: dict[str, Any] = {}
    for meta in metas:
        moment = datetime.fromtimestamp(meta.since, UTC).replace(tzinfo=None)
        entry = present.setdefault(str(meta.member_id), {"metas": []})
        entry["metas"].append({"phx_ref": meta.ref, "online_at": moment})
    return present
