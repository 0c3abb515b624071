"""Store what happens to members, as messages that nobody says."""

from __future__ import annotations

from services.chat import sql
from services.chat.models import Stored, message_from
from services.database import Connection

# What they are called who have no name.
NAMELESS = "Somebody"
_FALLBACK = {
    "create_chat": "${name} started the chat",
    "join_chat": "${name} has joined the chat",
    "leave_chat": "${name} has left the chat",
    "remove_chat": "${name} was removed from the chat",
}


async def add_info(connection: Connection, kind: str, channel_id: int, member_id: int, name: str | None) -> Stored:
    """Store what happened to a member, in one of the wordings for it.

    Args:
        connection: inside a transaction.
        kind: one of those that have a wording.
        channel_id: the room.
        member_id: whom it is about.
        name: what they are called.
    """
    template = await connection.fetchval(sql.INFO_TEXT, kind) or _FALLBACK[kind]
    row = await connection.fetchrow(sql.ADD_INFO, channel_id, member_id, template.replace("${name}", name or NAMELESS))
    assert row is not None  # noqa: S101  # INSERT … RETURNING without a condition
    return Stored(message_from(row), row["after"])
