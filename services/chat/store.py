"""Keep users, rooms, messages and stamps in Postgres; nothing else in the service speaks SQL."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any, Literal

from services.chat import sql
from services.chat.bus import Commits, Cut, tell_message
from services.chat.errors import Refusal
from services.chat.happenings import add_info
from services.chat.models import (
    Change,
    ChatMessage,
    Draft,
    NewStamp,
    Page,
    Place,
    Room,
    Seat,
    Stamp,
    Stored,
    User,
    message_from,
    seat_from,
    stamp_from,
    user_from,
)
from services.chat.names import room_topic
from services.chat.related import fetch_members, fetch_stamps
from services.chat.together import Together
from services.database import Connection, Database
from services.errors import Conflict, NotAuthenticated, NotFound

if TYPE_CHECKING:
    import asyncpg

PAGE_SIZE = 60
MAX_ID = (1 << 63) - 1


class Store:
    """Ask and tell the database.

    Args:
        database: the pool.
        commits: has the other replicas told; without it there are none.
    """

    def __init__(self, database: Database, commits: Commits | None = None) -> None:
        self._database = database
        self._commits = commits or Commits()
        self._seats = Together(self._find_seats)
        self._kept = database.keep()

    async def ensure_user(self, identity: str, name: str | None) -> User:
        """Return the person of this identity, made now if there is none.

        Raises:
            Conflict: the identity stands for somebody who is gone.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(sql.FIND_USER, identity)
            if row is None:
                await connection.execute(sql.ADD_USER, identity, name)
                row = await connection.fetchrow(sql.FIND_USER, identity)
        if row is None:
            # The insert met a row, and one that does not count: such names are given to deleted people alone.
            raise Conflict("This identity is taken.", code="identity_taken")
        return user_from(row)

    async def list_rooms(self, identity: str) -> list[Room]:
        """Return the rooms where the person takes part, newest message first; three queries serve any number.

        Raises:
            NotAuthenticated: nobody has this identity here.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.LIST_ROOMS, identity)
            if not rows:
                await self.find_user(connection, identity)
                return []
            members, owners = await fetch_members(connection, [row["room_id"] for row in rows])
            muted = {member_id for row in rows for member_id in row["muted"]}
            stamps = await fetch_stamps(connection, rows, muted)
        return [
            Room(
                id=row["room_id"],
                inserted_at=row["room_inserted_at"],
                friendly_name=row["friendly_name"],
                topic=row["topic"],
                members=tuple(members[row["room_id"]]),
                last_message=None
                if row["id"] is None
                else message_from(
                    row,
                    tuple(stamps[row["id"]]),
                    next((member for member in members[row["room_id"]] if member.id == row["member_id"]), None),
                ),
                owner_member_id=owners.get(row["room_id"]),
                last_read_message_id=row["last_read_message_id"],
                unread=row["unread"],
            )
            for row in rows
        ]

    async def create_room(self, identity: str, name: str, topic: str) -> Room:
        """Make a room with its first member and the message that says so.

        Raises:
            NotAuthenticated: nobody has this identity here.
        """
        async with self._database.transaction() as connection:
            user = await self.find_user(connection, identity)
            row = await connection.fetchrow(sql.ADD_ROOM, name, topic)
            assert row is not None  # noqa: S101  # INSERT … RETURNING without a condition
            member_id = await connection.fetchval(sql.ADD_PARTICIPANT, row["id"], user.id)
            await add_info(connection, "create_chat", row["id"], member_id, user.friendly_name)
        return Room(**row)

    async def join_room(self, identity: str, topic: str) -> Change:
        """Make the person a participant of the room that the invitation names.

        Raises:
            NotAuthenticated: nobody has this identity here.
            NotFound: the topic names no room, or the person was removed from it.
        """
        async with self._database.transaction() as connection:
            user = await self.find_user(connection, identity)
            channel_id = await connection.fetchval(sql.FIND_ROOM, topic)
            if channel_id is None:
                raise NotFound("There is no such channel.")
            await self.hold(connection, channel_id)
            member_id = await connection.fetchval(sql.ADD_PARTICIPANT, channel_id, user.id)
            if member_id is None:
                if await connection.fetchval(sql.IS_REMOVED, channel_id, user.id):
                    raise NotFound("There is no such channel.")
                return Change(topic, None)
            stored = await add_info(connection, "join_chat", channel_id, member_id, user.friendly_name)
            await self._commits.announce(connection, [tell_message(room_topic(topic), stored.message, stored.after)])
        return Change(topic, stored)

    async def leave_room(self, identity: str, channel_id: int) -> Change:
        """End the person's part in a room; leaving twice changes nothing.

        Raises:
            NotFound: the person was never in such a room.
        """
        async with self._database.transaction() as connection:
            await self.hold(connection, channel_id)
            member = await connection.fetchrow(sql.FIND_MEMBER, identity, channel_id)
            if member is None:
                raise NotFound("There is no such channel.")
            if not member["is_participant"]:
                return Change(member["topic"], None, await connection.fetchval(sql.NEWEST_OF_ROOM, channel_id))
            await connection.execute(sql.REMOVE_PARTICIPANT, member["id"])
            stored = await add_info(connection, "leave_chat", channel_id, member["id"], member["friendly_name"])
            await self.announce_leave(connection, member["topic"], identity, stored)
        return Change(member["topic"], stored, stored.message.id)

    async def hold(self, connection: Connection, channel_id: int) -> None:
        """Take a room's turn until the transaction ends, so that its messages are committed in the order of their ids.

        Args:
            connection: inside a transaction that has locked nothing of the room yet.
            channel_id: the room.
        """
        if self._commits.is_shared:
            await connection.execute(sql.HOLD, channel_id)

    async def announce_leave(self, connection: Connection, topic: str, identity: str, stored: Stored) -> None:
        """Have every replica told, if the transaction commits, that somebody takes no part any more.

        Args:
            connection: inside a transaction.
            topic: the room's.
            identity: who it is.
            stored: the message that says so.
        """
        topic = room_topic(topic)
        word = tell_message(topic, stored.message, stored.after)
        await self._commits.announce(connection, [Cut(topic, identity, stored.message.id), word])

    async def find_topic(self, identity: str, channel_id: int) -> str:
        """Return the topic of a room in which the person is, or was.

        Raises:
            NotAuthenticated: nobody has this identity here.
            NotFound: the person was never in such a room.
        """
        async with self._database.connection() as connection:
            topic: str | None = await connection.fetchval(sql.FIND_TOPIC, identity, channel_id)
            if topic is None:
                await self.find_user(connection, identity)
                raise NotFound("There is no such channel.")
        return topic

    async def page(self, identity: str, channel_id: int, before: int = MAX_ID) -> Page:
        """Return a page of history, newest first, with everybody who may have written in it.

        Args:
            identity: who asks.
            channel_id: the room.
            before: only older messages; MAX_ID for the newest page.

        Raises:
            NotAuthenticated: nobody has this identity here.
            NotFound: the person takes no part in such a room.
        """
        async with self._database.connection() as connection:
            place = await connection.fetchrow(sql.PLACE, identity, channel_id)
            if place is None:
                await self.find_user(connection, identity)
                raise NotFound("There is no such channel.")
            # One more than a page says whether there are more, without counting.
            rows = await connection.fetch(sql.PAGE, channel_id, before, PAGE_SIZE + 1, place["muted"])
            stamps = await fetch_stamps(connection, rows[:PAGE_SIZE], place["muted"])
            members, _ = await fetch_members(connection, [channel_id])
        return Page(
            is_last_message=len(rows) <= PAGE_SIZE,
            messages=[message_from(row, tuple(stamps[row["id"]])) for row in rows[:PAGE_SIZE]],
            members=members[channel_id],
        )

    async def find_seat(self, identity: str, topic: str) -> Seat | None:
        """Return the person's place in a room, if they take part in it; one question serves all who ask at once."""
        return await self._seats.find((identity, topic))

    async def _find_seats(self, asked: Sequence[tuple[str, str]]) -> list[Seat | None]:
        identities, topics = (list(column) for column in zip(*asked, strict=True))
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.SEATS, identities, topics)
        return [None if row["member_id"] is None else seat_from(row) for row in rows]

    async def find_place(self, identity: str, channel_id: int) -> Place:
        """Return the person's place in a room that is named by its id.

        Raises:
            NotFound: they take no part in such a room.
        """
        async with self._database.connection() as connection:
            row = await connection.fetchrow(sql.PLACE, identity, channel_id)
        if row is None:
            raise NotFound("There is no such channel.")
        return Place(seat_from(row), row["topic"])

    async def messages_after(
        self, channel_id: int, message_id: int, most: int, muted: Collection[int] = ()
    ) -> list[ChatMessage]:
        """Return what was said after a message, oldest first.

        Args:
            channel_id: the room.
            message_id: the last one known.
            most: that are returned.
            muted: members whose messages and stamps are left out.
        """
        async with self._database.connection() as connection:
            rows = await connection.fetch(sql.AFTER, channel_id, message_id, most, list(muted))
            stamps = await fetch_stamps(connection, rows, muted)
        return [message_from(row, tuple(stamps[row["id"]])) for row in rows]

    async def add_messages(self, drafts: Sequence[Draft]) -> list[Stored | Literal["known"] | None]:
        """Store a batch in one commit.

        Returns:
            For each draft, in order: the message; "known" when it is stored already; None from who takes no part.
        """
        results: list[Stored | Literal["known"] | None] = [None] * len(drafts)
        for ordinal, message_id, inserted_at, channel_id, is_stored, after in await self._add(drafts):
            draft, place = drafts[ordinal - 1], ordinal - 1
            if is_stored:
                message = ChatMessage(
                    message_id, inserted_at, channel_id, draft.member_id, "chat", draft.body, (), draft.client_id
                )
                results[place] = Stored(message, after)
            else:
                results[place] = "known"
        return results

    async def _add(self, drafts: Sequence[Draft]) -> list[asyncpg.Record]:
        commits = self._commits
        if len(drafts) == 1 and not commits.is_shared:
            [draft] = drafts
            return await self._kept.fetch(sql.ADD_MESSAGE_ALONE, draft.member_id, draft.body, draft.client_id)
        columns: list[list[Any]] = [
            [draft.member_id for draft in drafts],
            [draft.body for draft in drafts],
            [draft.client_id for draft in drafts],
        ]
        if commits.is_shared:
            others = (commits.is_shared, commits.notified, commits.origin)
            return await self._kept.fetch(sql.ADD_MESSAGES, *columns, *others)
        return await self._kept.fetch(sql.ADD_MESSAGES_ALONE, *columns)

    async def add_stamp(self, stamp: NewStamp) -> tuple[Stamp, bool]:
        """Store a stamp on a message of the member's own room.

        Returns:
            The stamp, and whether it is new: one of this member's with the same client id is stored already.

        Raises:
            Refusal: the member takes no part in the room any more, or the message is not in it, or was deleted.
        """
        values = (
            stamp.member_id,
            stamp.message_id,
            stamp.word,
            stamp.x_pos,
            stamp.y_pos,
            stamp.strength,
            stamp.client_id,
        )
        async with self._database.connection() as connection:
            row = await connection.fetchrow(sql.ADD_STAMP, *values)
            if row is not None:
                return stamp_from(row), True
            if not await connection.fetchval(sql.STILL_PARTICIPANT, stamp.member_id):
                raise Refusal("unauthorized")
            known = await connection.fetchrow(sql.KNOWN_STAMP, stamp.member_id, stamp.client_id)
        if known is None:
            raise Refusal("messageId names no message of this room")
        return stamp_from(known), False

    @staticmethod
    async def find_user(connection: Connection, identity: str) -> User:
        """Return the person of this identity.

        Raises:
            NotAuthenticated: nobody has it here.
        """
        # Held to the end of a join's transaction: a deletion of the person waits for it.
        row = await connection.fetchrow(f"{sql.FIND_USER} FOR KEY SHARE", identity)
        if row is None:
            raise NotAuthenticated("Nobody here has this identity; log in again.", code="unknown_user")
        return user_from(row)
