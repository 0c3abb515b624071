"""Tell the clients that ask for it who is in a room, in the format of Phoenix.Presence.

A key is a member's id, as a string, and each of the member's sockets is one meta. What happens within a moment is told
in one presence_diff. A socket that comes and goes within it is in both halves, which phoenix.js reads as joins first,
leaves then: so it is right also for whoever was sent a presence_state in between.
"""

from __future__ import annotations

import itertools
import secrets
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeAlias

import msgspec

from services.chat.bus import Arrived, Gone, PresenceNote
from services.chat.extensions import Extension, Joined
from services.chat.features.gathering import SECONDS, Gathering
from services.chat.models import Seat

# A crowd is shown again when it is clearly none, and not at every coming and going around the limit.
THINNED_OUT = 0.9


Push: TypeAlias = Callable[[str, Any], None]


@dataclass(slots=True)
class _Audience:
    watchers: dict[object, Push] = field(default_factory=dict)
    joins: list[Arrived] = field(default_factory=list)
    leaves: list[Arrived] = field(default_factory=list)
    is_crowded: bool = False


@dataclass(slots=True)
class _Room:
    metas: dict[int, Arrived] = field(default_factory=dict)
    # Most rooms have nobody in them who asks, and cost no more than that.
    audience: _Audience | None = None


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
        self._stays: dict[object, int] = {}
        # No two processes give the same ref.
        self._refs = itertools.count(secrets.randbits(62))
        self._gathering = Gathering(self._tell, seconds=seconds)

    async def joined(self, joined: Joined) -> None:
        """Count the socket, and show it the room if it asks for that."""
        self._stays[joined.session_key] = ref = next(self._refs)
        asks = isinstance(joined.payload, dict) and joined.payload.get("presence") is True
        if asks:
            room = self._rooms.setdefault(joined.topic, _Room())
            room.audience = room.audience or _Audience(is_crowded=len(room.metas) > self._most)
            room.audience.watchers[joined.session_key] = joined.push
        self._publish(Arrived(joined.topic, joined.identity, joined.seat.member_id, ref, int(time.time())))
        if asks and room.audience is not None:
            joined.push("presence_state", {} if room.audience.is_crowded else _format(room.metas.values()))

    def left(self, topic: str, identity: str, seat: Seat, session_key: object) -> None:
        """Count the socket no more."""
        del identity, seat
        ref = self._stays.pop(session_key, None)
        if ref is None:
            return
        room = self._rooms.get(topic)
        if room is not None and room.audience is not None:
            room.audience.watchers.pop(session_key, None)
            if not room.audience.watchers:
                room.audience = None
        self._publish(Gone(topic, ref))

    def deliver(self, note: PresenceNote) -> None:
        """Take a note, of this process or of another."""
        room = self._rooms.get(note.topic)
        if room is None:
            room = self._rooms[note.topic] = _Room()
        match note:
            case Arrived():
                room.metas[note.ref] = note
                if room.audience is not None:
                    room.audience.joins.append(note)
                    self._hide_crowd(room, room.audience)
            case Gone():
                gone = room.metas.pop(note.ref, None)
                if room.audience is not None and gone is not None:
                    room.audience.leaves.append(gone)
        if room.audience is not None:
            self._gathering.touch(note.topic)
        elif not room.metas:
            del self._rooms[note.topic]

    def identities(self, topic: str) -> set[str]:
        """Return who is in a room with a live socket, on any replica."""
        room = self._rooms.get(topic)
        return set() if room is None else {meta.identity for meta in room.metas.values()}

    def close(self) -> None:
        """Tell nothing more."""
        self._gathering.close()

    def _tell(self, topic: str) -> bool:
        room = self._rooms.get(topic)
        if room is None or room.audience is None:
            return False
        audience = room.audience
        joins, leaves = audience.joins, audience.leaves
        audience.joins, audience.leaves = [], []
        if not audience.is_crowded:
            _push(audience, "presence_diff", {"joins": _format(joins), "leaves": _format(leaves)})
        elif len(room.metas) <= self._most * THINNED_OUT:
            audience.is_crowded = False
            _push(audience, "presence_state", _format(room.metas.values()))
        return False

    def _hide_crowd(self, room: _Room, audience: _Audience) -> None:
        # At once, so that nobody is sent a list that the others do not have.
        if not audience.is_crowded and len(room.metas) > self._most:
            audience.is_crowded = True
            _push(audience, "presence_state", {})

    def __len__(self) -> int:
        return len(self._rooms)


def _push(audience: _Audience, event: str, payload: Any) -> None:
    # Encoded once for all of them.
    encoded = msgspec.Raw(msgspec.json.encode(payload))
    for push in tuple(audience.watchers.values()):
        push(event, encoded)


def _format(metas: Iterable[Arrived]) -> dict[str, Any]:
    present: dict[str, Any] = {}
    for meta in metas:
        moment = datetime.fromtimestamp(meta.since, UTC).replace(tzinfo=None)
        entry = present.setdefault(str(meta.member_id), {"metas": []})
        entry["metas"].append({"phx_ref": f"{meta.ref:x}", "online_at": moment})
    return present
