"""Ask the tables what nobody told us: messages of many rooms, what a broken commit stored, who may still listen."""

from __future__ import annotations

from collections.abc import Sequence

from services.chat import sql
from services.chat.models import ChatMessage, message_from
from services.chat.names import bare_topic, room_topic
from services.database import Database


class Table:
    """Ask the database.

    Args:
        database: the pool.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def messages_after_each(self, rooms: Sequence[tuple[int, int]], most: int) -> list[ChatMessage]:
        """Return what came after a message of each of several rooms, oldest first.

        Args:
            rooms: an id of a room and of a message each.
            most: messages of a room that are returned.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(
                sql.AFTER_EACH, [room for room, _ in rooms], [last for _, last in rooms], most
            )
        return [message_from(row) for row in rows]

    async def find_seats(self, listeners: Sequence[tuple[str, str]]) -> list[tuple[str, str, frozenset[int] | None]]:
        """Return whom each of those who listen does not hear; None for who takes no part any more.

        Args:
            listeners: an identity and a "room:<topic>" each.
        """
        identities = [identity for identity, _ in listeners]
        topics = [bare_topic(topic) for _, topic in listeners]
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.SEATS, identities, topics)
        return [
            (
                row["identity"],
                room_topic(row["topic"]),
                None if row["member_id"] is None else frozenset(row["muted"]),
            )
            for row in rows
        ]

    async def newest_message(self) -> int:
        """Return the greatest id of a message; 0 when there is none."""
        async with self._database.connection() as connection:
            return int(await connection.fetchval(sql.NEWEST) or 0)

    async def said_since(self, member_ids: Sequence[int], message_id: int) -> list[tuple[str, ChatMessage]]:
        """Return what some members have said after a message, oldest first, each with its room's topic."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.SAID_SINCE, list(member_ids), message_id)
        return [(room_topic(row["topic"]), message_from(row)) for row in rows]
