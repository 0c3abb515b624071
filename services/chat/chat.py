"""Do what people do in rooms: come, go, speak, stamp. Everything is stored first and told then."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import msgspec

from services.chat.bus import Bus, Cut, Told, tell_message
from services.chat.doubts import Memory
from services.chat.errors import Refusal
from services.chat.limits import Limits
from services.chat.models import Change, ChatMessage, Draft, NewStamp, Seat, Stamp, Stored
from services.chat.names import bare_topic, parse_id, parse_text, room_topic
from services.chat.store import Store
from services.chat.turns import Result
from services.chat.writer import Writer

CLIENT_ID_CHARACTERS = 64

T = TypeVar("T")


class Chat:
    """Be the rooms' behaviour, whatever carries the words to them.

    Args:
        store: where everything is kept.
        bus: which tells the rooms.
        notify: takes each message that somebody said, for the devices of the others.
        limits: what people may do at most.
        memory: where to look up what a broken commit has stored after all.
    """

    def __init__(
        self,
        store: Store,
        bus: Bus,
        notify: Callable[[ChatMessage], None],
        limits: Limits,
        memory: Memory | None = None,
    ) -> None:
        self._store = store
        self._bus = bus
        self._notify = notify
        self._limits = limits
        self._writer = Writer(store.add_messages, self._tell_said, memory)

    async def join_room(self, identity: str, topic: str) -> None:
        """Make somebody a participant of the room that an invitation names.

        Raises:
            NotAuthenticated: nobody has this identity here.
            NotFound: the topic names no room.
        """

        async def work() -> None:
            change = await self._store.join_room(identity, topic)
            self._tell_change(change)

        await self._writer.change(room_topic(topic), work)

    async def leave_room(self, identity: str, channel_id: int) -> None:
        """End somebody's part in a room, on all their sockets, and tell the others.

        Raises:
            NotFound: they were never in such a room.
        """
        topic = await self._store.find_topic(identity, channel_id)

        async def work() -> None:
            change = await self._store.leave_room(identity, channel_id)
            self._bus.publish(Cut(room_topic(topic), identity, change.newest))
            self._tell_change(change)

        await self._writer.change(room_topic(topic), work)

    async def find_seat(self, identity: str, topic: str) -> Seat:
        """Return somebody's place in a room.

        Args:
            identity: whose.
            topic: "room:<topic>".

        Raises:
            Refusal: they take no part in it, or there is no such room; which of the two is not theirs to know.
        """
        bare = bare_topic(topic)
        seat = None if "\x00" in bare else await self._store.find_seat(identity, bare)
        if seat is None:
            raise Refusal("unauthorized")
        self._bus.reached(topic, seat.channel_id, seat.newest)
        return seat

    async def missed(self, seat: Seat, last_message_id: int) -> list[ChatMessage] | None:
        """Return what was said after a message, oldest first; None when it was too much."""
        most = self._limits.replay_messages
        messages = await self._store.messages_after(seat.channel_id, last_message_id, most + 1, seat.muted)
        return messages if len(messages) <= most else None

    async def replay(self, seat: Seat, payload: Any) -> tuple[dict[str, object], int]:
        """Return a join's response, and the last message that is in it or known to the client.

        Args:
            seat: of who joins.
            payload: of the join; it may hold a last_message_id.

        Raises:
            Refusal: that is no id.
        """
        asked = payload.get("last_message_id") if isinstance(payload, dict) else None
        if asked is None:
            return {}, 0
        # 0 is what a client has that has seen nothing yet.
        last = 0 if asked == 0 and not isinstance(asked, bool) else parse_id("last_message_id", asked)
        missed = await self.missed(seat, last)
        if missed is None:
            return {"messages": [], "recovered": False}, 0
        return {"messages": missed, "recovered": True}, missed[-1].id if missed else last

    async def shout(self, seat: Seat, topic: str, payload: Any) -> None:
        """Store a message and tell the room.

        Raises:
            Refusal: it breaks a rule, or the member takes no part in the room any more.
            Unavailable: it could not be stored.
        """
        if await self._writer.say(topic, seat.channel_id, self._draft(seat, payload)) is None:
            raise Refusal("unauthorized")

    def take_shout(self, seat: Seat, topic: str, payload: Any, done: Callable[[Exception | None], None]) -> None:
        """Do what shout() does without a wait, and call back with what it would have raised, or None.

        Raises:
            Refusal: it breaks a rule; nothing is called back then.
            Unavailable: too much is waiting; nothing is called back then.
        """

        def called_back(result: Result, error: Exception | None) -> None:
            done(Refusal("unauthorized") if result is None and error is None else error)

        self._writer.take(topic, seat.channel_id, self._draft(seat, payload), called_back)

    def _draft(self, seat: Seat, payload: Any) -> Draft:
        fields = read_object(payload)
        body = parse_text("message", fields.get("message"), most=self._limits.body_characters)
        return Draft(seat.member_id, body, _parse_client_id(fields))

    async def stamp(self, seat: Seat, topic: str, payload: Any) -> Stamp | None:
        """Store a stamp on a message and tell the room.

        Returns:
            The stamp, if it is stored already under the id that its client gave it: then the room is told nothing.

        Raises:
            Refusal: it breaks a rule, or the member takes no part in the room any more.
            Unavailable: it could not be stored.
        """
        fields = read_object(payload)
        strength = fields.get("strength")
        stamp = NewStamp(
            member_id=seat.member_id,
            message_id=parse_id("messageId", fields.get("messageId")),
            word=parse_text("word", fields.get("word"), most=self._limits.word_characters),
            x_pos=_parse_number("xPos", fields.get("xPos")),
            y_pos=_parse_number("yPos", fields.get("yPos")),
            strength=0.0 if strength is None else _parse_number("strength", strength),
            client_id=_parse_client_id(fields),
        )
        if not 0 <= stamp.strength <= 1:
            raise Refusal("strength must be between 0 and 1")
        stored, is_new = await self._store.add_stamp(stamp)
        if not is_new:
            return stored
        self._bus.publish(Told(topic, "shout", {"type": "stamp", "data": stored}, author=seat.member_id))
        return None

    def whisper(self, seat: Seat, topic: str, payload: Any, but: object = None) -> None:
        """Tell the room what is gone a moment later: typing, a stamp that is still being dragged.

        Args:
            seat: of who whispers.
            topic: "room:<topic>".
            payload: a JSON object.
            but: the listener that does not hear it, usually the one that sent it.

        Raises:
            Refusal: it is no object, or too large.
        """
        data = read_object(payload)
        most = self._limits.whisper_bytes
        try:
            encoded = msgspec.json.encode(data)
        except (OverflowError, msgspec.MsgspecError) as error:
            raise Refusal("a number is too large") from error
        if len(encoded) > most:
            raise Refusal(f"a whisper must have at most {most} bytes")
        told = {"member_id": seat.member_id, "data": msgspec.Raw(encoded)}
        self._bus.publish(Told(topic, "whisper", told, author=seat.member_id, is_fleeting=True, but=but))

    async def take_turn(self, topic: str, work: Callable[[], Awaitable[T]]) -> T:
        """Do work that stores and tells something else than a message, in its turn among the room's messages.

        Args:
            topic: "room:<topic>".
            work: returns once it has told what it stored.

        Raises:
            Unavailable: too much is waiting.
        """
        return await self._writer.change(topic, work)

    def count_waiting(self) -> int:
        """Return how much waits to be stored."""
        return len(self._writer)

    def count_rounds(self) -> int:
        """Return how many commits of messages have been begun so far."""
        return self._writer.begun

    async def close(self) -> None:
        """Finish what is being stored."""
        await self._writer.close()

    def _tell_said(self, topic: str, stored: Stored) -> None:
        self._tell(topic, stored)
        self._notify(stored.message)

    def _tell_change(self, change: Change) -> None:
        if change.stored is not None:
            self._tell(room_topic(change.topic), change.stored)

    def _tell(self, topic: str, stored: Stored) -> None:
        self._bus.publish(tell_message(topic, stored.message, stored.after))


def read_object(payload: Any) -> dict[str, Any]:
    """Return a payload's fields; a binary frame may carry the object as JSON.

    Raises:
        Refusal: it is no object.
    """
    if isinstance(payload, bytes):
        try:
            payload = msgspec.json.decode(payload)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            payload = None
    if not isinstance(payload, dict):
        raise Refusal("the payload must be an object")
    return payload


def _parse_client_id(fields: dict[str, Any]) -> str | None:
    client_id = fields.get("id")
    return None if client_id is None else parse_text("id", client_id, most=CLIENT_ID_CHARACTERS)


def _parse_number(name: str, value: Any) -> float:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            return float(value)
        except OverflowError:
            pass
    raise Refusal(f"{name} must be a number")
