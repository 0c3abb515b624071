"""Play one connection's life as tables of messages and effects, with a join_ref that is never equal to a ref."""

from __future__ import annotations

import pytest

from services.chat.connection import Channel, Connection, Dispatch, Join, Part, Send
from services.chat.protocol import Message, Reply

ROOM = "room:a"


def joined(connection: Connection, *, join_ref: str | None = "11", ref: str = "1", topic: str = ROOM) -> Channel:
    """Join a topic and return its channel."""
    (effect,) = connection.handle(Message(topic, "phx_join", {}, ref=ref, join_ref=join_ref))
    assert isinstance(effect, Join)
    connection.joined(effect.channel, ref, {})
    return effect.channel


def closed(join_ref: str, event: str = "phx_close") -> Send:
    """Return what ends a channel."""
    return Send(Message(ROOM, event, {}, ref=join_ref, join_ref=join_ref))


UNMATCHED = {"reason": "unmatched topic"}
UNJOINED: list[tuple[Message, Reply]] = [
    (Message("phoenix", "heartbeat", {}, ref="2"), Reply("phoenix", "ok", {}, ref="2")),
    (Message("phoenix", "other", {}, ref="2"), Reply("phoenix", "error", UNMATCHED, ref="2")),
    (Message("lobby", "phx_join", {}, ref="1", join_ref="11"), Reply("lobby", "error", UNMATCHED, ref="1")),
    (Message(ROOM, "shout", {}, ref="3", join_ref="11"), Reply(ROOM, "error", UNMATCHED, ref="3")),
    (Message(ROOM, "phx_leave", {}, ref="4", join_ref="11"), Reply(ROOM, "ok", {}, ref="4", join_ref="11")),
]


@pytest.mark.parametrize(("message", "reply"), UNJOINED)
def test_a_message_for_what_is_not_joined(message: Message, reply: Reply) -> None:
    """Answer without a channel."""
    assert Connection().handle(message) == [Send(reply)]


def test_a_join_is_answered_with_its_own_refs() -> None:
    """Keep join_ref and ref apart."""
    connection = Connection()
    (effect,) = connection.handle(Message(ROOM, "phx_join", {}, ref="1", join_ref="11"))

    assert isinstance(effect, Join)
    assert connection.joined(effect.channel, "1", {"a": 1}) == [
        Send(Reply(ROOM, "ok", {"a": 1}, ref="1", join_ref="11"))
    ]


def test_a_refused_join_leaves_nothing_joined() -> None:
    """Fail a join and go on."""
    connection = Connection()
    (effect,) = connection.handle(Message(ROOM, "phx_join", {}, ref="1", join_ref="11"))
    assert isinstance(effect, Join)

    refused = connection.refused(effect.channel, "1", "unauthorized")

    assert refused == [Send(Reply(ROOM, "error", {"reason": "unauthorized"}, ref="1", join_ref="11"))]
    assert connection.handle(Message(ROOM, "ping", {}, ref="2"))[0] == Send(Reply(ROOM, "error", UNMATCHED, ref="2"))


@pytest.mark.parametrize("join_ref", ["11", None])
def test_an_event_of_a_joined_topic_is_dispatched(join_ref: str | None) -> None:
    """Accept the channel's join_ref, and none."""
    connection = Connection()
    channel = joined(connection)
    message = Message(ROOM, "shout", {"message": "hi"}, ref="3", join_ref=join_ref)

    assert connection.handle(message) == [Dispatch(channel, message)]


@pytest.mark.parametrize("event", ["shout", "phx_leave"])
def test_a_stale_join_ref_is_dropped(event: str) -> None:
    """Ignore what belongs to a join that is gone, a late leave above all."""
    connection = Connection()
    channel = joined(connection, join_ref="12")

    assert connection.handle(Message(ROOM, event, {}, ref="3", join_ref="11")) == []
    assert connection.is_open(channel)


def test_a_second_join_closes_the_first() -> None:
    """Close with the old join_ref, then join anew."""
    connection = Connection()
    first = joined(connection, join_ref="11")

    effects = connection.handle(Message(ROOM, "phx_join", {}, ref="2", join_ref="12"))

    assert effects[:2] == [Part(first), closed("11")]
    assert isinstance(effects[2], Join)
    assert effects[2].channel.join_ref == "12"
    assert not connection.is_open(first)


def test_a_join_that_was_overtaken_is_not_answered() -> None:
    """Say nothing about a first join that ended while the database was asked."""
    connection = Connection()
    (effect,) = connection.handle(Message(ROOM, "phx_join", {}, ref="1", join_ref="11"))
    assert isinstance(effect, Join)
    connection.handle(Message(ROOM, "phx_join", {}, ref="2", join_ref="12"))

    assert connection.joined(effect.channel, "1", {}) == []
    assert connection.refused(effect.channel, "1", "no") == []
    assert connection.close(effect.channel) == []


def test_a_leave_is_replied_to_and_then_closed() -> None:
    """Answer with the leave's ref and close with the join's."""
    connection = Connection()
    channel = joined(connection)

    effects = connection.handle(Message(ROOM, "phx_leave", {}, ref="6", join_ref="11"))

    assert effects == [Send(Reply(ROOM, "ok", {}, ref="6", join_ref="11")), Part(channel), closed("11")]
    assert not connection.is_open(channel)


def test_a_join_without_a_join_ref_takes_its_ref() -> None:
    """Answer the clients of the first serializer as Phoenix 1.4 did."""
    connection = Connection()
    channel = joined(connection, join_ref=None, ref="1")

    assert channel.join_ref == "1"
    assert connection.close(channel) == [closed("1")]


def test_a_crash_ends_one_channel_only() -> None:
    """Send phx_error for the topic and keep the others."""
    connection = Connection()
    broken, whole = joined(connection), joined(connection, join_ref="12", topic="room:b")

    assert connection.crash(broken) == [closed("11", "phx_error")]
    assert connection.is_open(whole)


def test_a_connection_joins_so_many_topics() -> None:
    """Refuse the join over the cap, and let go of the cap after a leave."""
    connection = Connection(max_channels=1)
    joined(connection)
    other = Message("room:b", "phx_join", {}, ref="2", join_ref="12")

    (effect,) = connection.handle(other)
    connection.handle(Message(ROOM, "phx_leave", {}, ref="3", join_ref="11"))

    assert effect == Send(Reply("room:b", "error", {"reason": "too many channels joined"}, ref="2", join_ref="12"))
    assert isinstance(connection.handle(other)[0], Join)
