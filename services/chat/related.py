"""Fetch what belongs to rooms and messages: the people in them, the stamps on them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from services.chat import sql
from services.chat.models import Member, Stamp, member_from, stamp_from
from services.database import Connection

if TYPE_CHECKING:
    from datetime import datetime

    import asyncpg


async def fetch_members(
    connection: Connection, channel_ids: list[int]
) -> tuple[defaultdict[int, list[Member]], dict[int, int]]:
    """Return the members of each room, and which of them owns it."""
    members: defaultdict[int, list[Member]] = defaultdict(list)
    oldest: dict[int, tuple[datetime, int]] = {}
    for row in await connection.fetch(sql.MEMBERS, channel_ids):
        room = row["channel_id"]
        members[room].append(member_from(row))
        if row["is_participant"]:
            since = (row["participant_since"], row["id"])
            oldest[room] = min(since, oldest.get(room, since))
    return members, {room: member_id for room, (_, member_id) in oldest.items()}


async def fetch_stamps(
    connection: Connection, messages: Sequence[asyncpg.Record], muted: Collection[int]
) -> defaultdict[int, list[Stamp]]:
    """Return the stamps of each message that is no tombstone, without those of muted members."""
    stamps: defaultdict[int, list[Stamp]] = defaultdict(list)
    ids = [row["id"] for row in messages if row["id"] is not None and row["deleted_at"] is None]
    if ids:
        for row in await connection.fetch(sql.STAMPS, ids):
            if row["member_id"] not in muted:
                stamps[row["message_id"]].append(stamp_from(row))
    return stamps
