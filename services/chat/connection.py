"""Decide what a frame means for one connection, in the order of Phoenix's socket.ex; no I/O in here.

handle() takes a client's message and returns effects, to be carried out in order. What ends later (a join that asks
the database) is told back with joined(), refused(), close() or crash(), which return what is to be sent.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from services.chat.protocol import Message, Ref, Reply

# Phoenix's own cap since 1.7; a phone joins one room, a desktop client its rooms.
MAX_CHANNELS = 100
ROOM_PREFIX = "room:"
# What begins or ends a channel; everything else is for the channel itself.
_OF_CHANNELS = frozenset({"phx_join", "phx_leave"})


class Channel(msgspec.Struct, eq=False, gc=False):
    """Stand for one join of one topic on one connection; a second join of the topic is another channel.

    Attributes:
        topic: the topic as the client writes it; once it is in a room, the very string that the others there have.
        join_ref: goes into every frame about this join.
    """

    topic: str
    join_ref: Ref


class Send(msgspec.Struct, frozen=True):
    """Send this to the client."""

    frame: Message | Reply


class Join(msgspec.Struct, frozen=True):
    """Find out whether the client may join, then call joined() or refused()."""

    channel: Channel
    message: Message


class Part(msgspec.Struct, frozen=True):
    """Stop delivering the topic to this channel."""

    channel: Channel


class Dispatch(msgspec.Struct, frozen=True):
    """Do what an event of a joined topic asks for."""

    channel: Channel
    message: Message


class Renew(msgspec.Struct, frozen=True):
    """Take the newer token of the whole connection, and answer."""

    message: Message


Effect: TypeAlias = Send | Join | Part | Dispatch | Renew


class Connection:
    """Remember what one connection has joined.

    Args:
        max_channels: how many topics it may join at once.
    """

    __slots__ = ("_first", "_max_channels", "_others")

    def __init__(self, *, max_channels: int = MAX_CHANNELS) -> None:
        self._max_channels = max_channels
        # A phone has one, and a dict for it takes more than all that is in it.
        self._first: Channel | None = None
        self._others: dict[str, Channel] | None = None

    def is_open(self, channel: Channel) -> bool:
        """Say whether the channel is still the topic's own: joining or joined."""
        return self._find(channel.topic) is channel

    def handle(self, message: Message) -> list[Effect]:  # noqa: PLR0911  # a table: one clause, one answer
        """Return what a client's message causes."""
        channel = self._find(message.topic)
        if channel is not None and message.event not in _OF_CHANNELS:
            # A null join_ref is valid on all but joins; another one belongs to a channel that is gone.
            is_stale = message.join_ref is not None and message.join_ref != channel.join_ref
            return [] if is_stale else [Dispatch(channel, message)]
        match channel, message:
            case _, Message(topic="phoenix", event="heartbeat"):
                return [Send(Reply("phoenix", "ok", {}, ref=message.ref))]
            case _, Message(topic="phoenix", event="access_token"):
                return [Renew(message)]
            case None, Message(event="phx_join"):
                return self._join(message)
            case Channel(), Message(event="phx_join"):
                return [*self._drop(channel), *self._join(message)]
            case Channel(), Message(join_ref=stale) if stale is not None and stale != channel.join_ref:
                return []
            case Channel(), Message(event="phx_leave"):
                reply = Reply(channel.topic, "ok", {}, ref=message.ref, join_ref=channel.join_ref)
                return [Send(reply), *self._drop(channel)]
            case None, Message(event="phx_leave"):
                return [Send(Reply(message.topic, "ok", {}, ref=message.ref, join_ref=message.join_ref))]
            case _:
                return [Send(unmatched(message))]

    def joined(self, channel: Channel, ref: Ref, response: Any) -> list[Send]:
        """Answer a join that went well, unless the client has closed the channel meanwhile."""
        if not self.is_open(channel):
            return []
        return [Send(Reply(channel.topic, "ok", response, ref=ref, join_ref=channel.join_ref))]

    def refused(self, channel: Channel, ref: Ref, reason: str) -> list[Send]:
        """Answer a join that may not be, and forget the channel."""
        if not self.is_open(channel):
            return []
        self._remove(channel)
        return [Send(Reply(channel.topic, "error", {"reason": reason}, ref=ref, join_ref=channel.join_ref))]

    def close(self, channel: Channel) -> list[Send]:
        """End a channel from our side: the member left, or was removed."""
        return self._end(channel, "phx_close")

    def crash(self, channel: Channel) -> list[Send]:
        """End a channel that we cannot go on with; Phoenix's clients join again after it."""
        return self._end(channel, "phx_error")

    def _join(self, message: Message) -> list[Effect]:
        # phoenix.js makes the two refs equal; a client without a join_ref is answered as Phoenix 1.4 did.
        join_ref = message.ref if message.join_ref is None else message.join_ref
        if not message.topic.startswith(ROOM_PREFIX):
            return [Send(unmatched(message))]
        if len(self) >= self._max_channels:
            response = {"reason": "too many channels joined"}
            return [Send(Reply(message.topic, "error", response, ref=message.ref, join_ref=join_ref))]
        channel = Channel(message.topic, join_ref)
        if self._first is None:
            self._first = channel
        else:
            self._others = self._others or {}
            self._others[message.topic] = channel
        return [Join(channel, message)]

    def _find(self, topic: str) -> Channel | None:
        first = self._first
        if first is not None and first.topic == topic:
            return first
        return None if self._others is None else self._others.get(topic)

    def _remove(self, channel: Channel) -> None:
        if self._first is channel:
            self._first = None
        elif self._others is not None:
            del self._others[channel.topic]
            self._others = self._others or None

    def __len__(self) -> int:
        return (self._first is not None) + len(self._others or ())

    def _drop(self, channel: Channel) -> list[Effect]:
        return [Part(channel), *self._end(channel, "phx_close")]

    def _end(self, channel: Channel, event: str) -> list[Send]:
        if not self.is_open(channel):
            return []
        self._remove(channel)
        return [Send(Message(channel.topic, event, {}, ref=channel.join_ref, join_ref=channel.join_ref))]


def unmatched(message: Message) -> Reply:
    """Answer for a topic that the connection has not joined, as Phoenix does."""
    return Reply(message.topic, "error", {"reason": "unmatched topic"}, ref=message.ref)
