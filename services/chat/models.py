"""Name what the chat stores, in the shape in which the wire has it; msgspec writes these as JSON as they are."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import asyncpg


class User(msgspec.Struct, frozen=True):
    """Be a person."""

    id: int
    inserted_at: datetime
    friendly_name: str | None
    identity: str


class Member(msgspec.Struct, frozen=True):
    """Be a person's place in a room; it stays when the person leaves, so that old messages keep their author."""

    id: int
    inserted_at: datetime
    user: User


class Stamp(msgspec.Struct, frozen=True, omit_defaults=True):
    """Be a word pressed onto a message.

    Attributes:
        client_id: what its sender called it, only where a client did.
    """

    id: int
    inserted_at: datetime
    member_id: int
    message_id: int
    word: str
    x_pos: float
    y_pos: float
    strength: float
    client_id: str | None = None


class ChatMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Be something said, or ("chat_info") something that happened.

    Attributes:
        stamps: oldest first; there are none yet in a broadcast.
        client_id: what its sender called it, only where a client did.
        member: who said it, only in a list of rooms.
        edited_at: when its author changed it last, only where one did.
        deleted: whether it is a tombstone; its body is then empty.
    """

    id: int
    inserted_at: datetime
    channel_id: int
    member_id: int | None
    type: str
    body: str
    stamps: tuple[Stamp, ...]
    client_id: str | None = None
    member: Member | None = None
    edited_at: datetime | None = None
    deleted: bool = False


class Room(msgspec.Struct, frozen=True, omit_defaults=True):
    """Be a room (the wire's "channel").

    Attributes:
        members: everybody who was ever in it, only in a list of rooms.
        last_message: the newest message, only in a list of rooms.
        owner_member_id: who may remove, rename and renew, only in a list of rooms.
        last_read_message_id: how far the caller has read, only in a list of rooms.
        unread: what they have not read, up to 99, only in a list of rooms.
    """

    id: int
    inserted_at: datetime
    friendly_name: str | None
    topic: str
    members: tuple[Member, ...] | None = None
    last_message: ChatMessage | None = None
    owner_member_id: int | None = None
    last_read_message_id: int | None = None
    unread: int | None = None


class Page(msgspec.Struct, frozen=True):
    """Be a page of a room's history, newest message first."""

    is_last_message: bool
    messages: list[ChatMessage]
    members: list[Member]


class Seat(msgspec.Struct, frozen=True, gc=False):
    """Be what a socket needs to know of its place in a room.

    Attributes:
        member_id: the place itself.
        channel_id: the room.
        muted: places of people whom the person has blocked, and hears no more.
        newest: the room's newest message when it was looked for, where that was asked for.
    """

    member_id: int
    channel_id: int
    muted: frozenset[int] = frozenset()
    newest: int = 0


@dataclass(frozen=True, slots=True)
class Place:
    """Be a seat, and the room's topic as the database has it."""

    seat: Seat
    topic: str


class Draft(msgspec.Struct, frozen=True):
    """Be a message that is not stored yet."""

    member_id: int
    body: str
    client_id: str | None = None


@dataclass(frozen=True, slots=True)
class NewStamp:
    """Be a stamp that is not stored yet."""

    member_id: int
    message_id: int
    word: str
    x_pos: float
    y_pos: float
    strength: float
    client_id: str | None = None


class Stored(msgspec.Struct, frozen=True):
    """Be a message that was stored a moment ago.

    Attributes:
        message: it.
        after: the one before it in its room; -1 where nobody looked.
    """

    message: ChatMessage
    after: int = -1


@dataclass(frozen=True, slots=True)
class Change:
    """Say what a join or a leave did.

    Attributes:
        topic: the room's.
        stored: what the room is told; nothing when nothing changed.
        newest: the room's newest message then.
    """

    topic: str
    stored: Stored | None
    newest: int = 0


def user_from(row: asyncpg.Record, prefix: str = "") -> User:
    """Read a user out of a row whose columns may carry a prefix."""
    return User(
        id=row[prefix + "id"],
        inserted_at=row[prefix + "inserted_at"],
        friendly_name=row[prefix + "friendly_name"],
        identity=row[prefix + "identity"] or "",
    )


def member_from(row: asyncpg.Record) -> Member:
    """Read a member and its user out of a row."""
    return Member(id=row["id"], inserted_at=row["inserted_at"], user=user_from(row, "user_"))


def stamp_from(row: asyncpg.Record) -> Stamp:
    """Read a stamp out of a row."""
    return Stamp(**row)


def message_from(row: asyncpg.Record, stamps: tuple[Stamp, ...] = (), member: Member | None = None) -> ChatMessage:
    """Read a message out of a row."""
    return ChatMessage(
        id=row["id"],
        inserted_at=row["inserted_at"],
        channel_id=row["channel_id"],
        member_id=row["member_id"],
        # The original let both be null.
        type=row["type"] or "chat",
        body=row["body"] or "",
        stamps=stamps,
        client_id=row["client_id"],
        member=member,
        # A message that was stored a moment ago comes without these two.
        edited_at=row.get("edited_at"),
        deleted=row.get("deleted_at") is not None,
    )


def seat_from(row: asyncpg.Record) -> Seat:
    """Read a seat out of a row."""
    return Seat(row["member_id"], row["channel_id"], frozenset(row["muted"]), row.get("newest", 0))
