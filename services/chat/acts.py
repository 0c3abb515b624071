"""Do what the events of a channel ask for; when, and in which order, is the session's."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

from services.chat.connection import Channel, Connection, Send
from services.chat.errors import Refusal
from services.chat.extensions import Event, Joined
from services.chat.models import Seat
from services.chat.protocol import Message, Ref
from services.chat.shared import Shared
from services.chat.subscription import Subscription
from services.tracing import span

# What is answered without asking anybody; it needs no task where nothing waits before it.
INSTANT = frozenset({"whisper", "ping", "access_token"})


class Client(Protocol):
    """Be whose channel it is, as services.chat.session.Session is."""

    identity: str
    shared: Shared
    connection: Connection
    is_closed: bool

    def send(self, effects: Iterable[Send]) -> None:
        """Send the client something."""

    def accept(self, channel: Channel, ref: Ref, response: Any) -> None:
        """Answer an event of a channel with ok."""

    def renew(self, payload: Any) -> None:
        """Take a newer token."""

    def crash(self, subscription: Subscription, event: str, error: Exception) -> None:
        """End a channel, as Phoenix does after what nobody foresaw."""


async def do(client: Client, subscription: Subscription, message: Message) -> None:
    """Do what one event asks for.

    Args:
        client: whose event it is.
        subscription: of the channel.
        message: the event.

    Raises:
        Refusal: it may not be done.
        RequestError: it cannot be done now.
    """
    channel, seat, shared = subscription.channel, subscription.seat, client.shared
    if message.event == "phx_join":
        with shared.metrics.join_seconds.time(), span("join"):
            await _join(client, subscription, message)
    elif seat is None:
        # Sent behind a join that was refused.
        raise Refusal("unmatched topic")
    elif message.event == "shout":
        with shared.metrics.time_shout(), span("shout"):
            await shared.chat.shout(seat, channel.topic, message.payload)
    elif message.event == "stamp":
        known = await shared.chat.stamp(seat, channel.topic, message.payload)
        if known is not None:
            # The room was told long ago; who threw it again is still waiting.
            client.accept(channel, message.ref, {"data": known})
    elif message.event in INSTANT:
        answer(client, subscription, message)
    elif (handler := shared.extensions.handlers.get(message.event)) is not None:
        response = await handler(Event(channel.topic, client.identity, seat, message.payload, subscription))
        client.accept(channel, message.ref, response)
    else:
        raise Refusal("unknown event")


def answer(client: Client, subscription: Subscription, message: Message) -> None:
    """Do one of the instant events.

    Raises:
        Refusal: it may not be done.
        TokenError: it is a token that is not good.
    """
    channel, seat = subscription.channel, subscription.seat
    if seat is None or subscription.is_over:
        raise Refusal("unmatched topic")
    match message.event:
        case "whisper":
            but = None if subscription.hears_itself else subscription
            client.shared.chat.whisper(seat, channel.topic, message.payload, but)
        case "ping":
            client.accept(channel, message.ref, message.payload)
        case _:
            client.renew(message.payload)
            client.accept(channel, message.ref, {})


async def _join(client: Client, subscription: Subscription, message: Message) -> None:
    """Listen first and ask then, so that nothing which is told in between is missed, a leave above all."""
    if client.is_closed or not client.connection.is_open(subscription.channel):
        return
    topic, shared = subscription.channel.topic, client.shared
    # One string for a room, however many have sent it.
    subscription.channel.topic = topic = shared.rooms.enter(topic, subscription)
    seat = await shared.chat.find_seat(client.identity, topic)
    response, after = await shared.chat.replay(seat, message.payload)
    if subscription.is_cut_from(seat):
        raise Refusal("unauthorized")
    if subscription.is_over:
        return
    subscription.seat = seat
    subscription.hears_itself = isinstance(message.payload, dict) and message.payload.get("self") is True
    shared.metrics.joins.inc()
    client.send(client.connection.joined(subscription.channel, message.ref, response))
    await _greet(client, subscription, seat, message.payload)
    subscription.open(after)


async def _greet(client: Client, subscription: Subscription, seat: Seat, payload: Any) -> None:
    """Tell the features, before the channel hears its room."""
    topic, extensions = subscription.channel.topic, client.shared.extensions

    def push(event: str, payload: Any) -> None:
        if not subscription.is_over:
            client.send([Send(Message(topic, event, payload, join_ref=subscription.channel.join_ref))])

    subscription.greeting = True
    try:
        await extensions.joined(Joined(topic, client.identity, seat, subscription, push, subscription.mute, payload))
    except Exception as error:  # noqa: BLE001  # whatever it was, the client joins again
        client.crash(subscription, "phx_join", error)
    finally:
        subscription.greeting = False
        if subscription.is_over:
            extensions.left(topic, client.identity, seat, subscription)
