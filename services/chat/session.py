"""Live one socket's life: what comes in goes through the connection's table, what it asks for is done in order.

Each channel has an inbox, and a task only while there is something in it. So a topic's events are carried out one
after the other, a slow database holds up neither heartbeats nor other topics, and an idle socket costs no task. Shouts
with nothing else before them need none either: they go to the writer, which keeps their order, and it calls back.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections.abc import Iterable
from functools import partial
from time import perf_counter
from typing import Any

from services.chat.connection import Channel, Connection, Dispatch, Join, Part, Renew, Send
from services.chat.errors import ProtocolError, Refusal
from services.chat.extensions import Event, Joined
from services.chat.frames import Outlet
from services.chat.models import Seat
from services.chat.protocol import Message, Ref, Reply, Version, encode
from services.chat.rates import Pace
from services.chat.shared import Shared
from services.chat.subscription import Subscription
from services.errors import RequestError
from services.logs import request_id, resume_request
from services.tokens import Claims
from services.tracing import is_on, span

# What is answered without asking anybody; it needs no task where nothing waits before it.
INSTANT = frozenset({"whisper", "ping", "access_token"})

logger = logging.getLogger(__name__)


class Session:
    """Be one client.

    Args:
        shared: what all sockets share.
        claims: who it is.
        version: the serializer that it speaks.
        outlet: the way to it.

    Attributes:
        auth_time: when the person logged in; a newer token that the client hands over moves it.
    """

    __slots__ = (
        "_connection",
        "_flying",
        "_is_closed",
        "_landed",
        "_pace",
        "_request_id",
        "_shared",
        "_subscriptions",
        "_tasks",
        "auth_time",
        "identity",
        "outlet",
        "version",
    )

    def __init__(self, *, shared: Shared, claims: Claims, version: Version, outlet: Outlet) -> None:
        self.identity = claims.identity
        self.auth_time = claims.auth_time
        self.version = version
        # Of the handshake: what is said over the socket is logged under it.
        self._request_id = request_id()
        self._shared = shared
        self.outlet = outlet
        self._connection = Connection(max_channels=shared.limits.channels)
        self._pace = Pace(claims.identity, shared.rates)
        # Of an idle socket: one, of which a tuple takes a fifth of what a dict does, and none.
        self._subscriptions: tuple[Subscription, ...] = ()
        self._tasks: set[asyncio.Task[None]] | None = None
        self._is_closed = False
        # Shouts that the writer has in hand, and what is set when there are none any more.
        self._flying = 0
        self._landed: asyncio.Event | None = None

    def receive(self, message: Message) -> bool:
        """Take a client's message; it never waits.

        Returns:
            Whether the client keeps to its rate; if not, the message was refused.
        """
        if reason := self._pace.flooded() or self._pace.hurried(message.event):
            self._shared.metrics.refused.inc()
            self._turn_away(message, reason)
            return False
        if self._shared.is_stopping and message.topic != "phoenix":
            self._turn_away(message, "this process is restarting; connect again")
            return True
        for effect in self._connection.handle(message):
            # Nearly all are this one, and a pattern costs as much as what it leads to.
            if isinstance(effect, Dispatch):
                self._put(self._find(effect.channel), message)
                continue
            match effect:
                case Send():
                    self._send([effect])
                case Join(channel, _):
                    subscription = Subscription(self, channel)
                    self._subscriptions = (*self._subscriptions, subscription)
                    self._put(subscription, message)
                case Part(channel):
                    self._part(self._find(channel))
                case Renew():
                    self._renew_for(message)
        return True

    def abort(self) -> None:
        """Drop the client, which cannot follow."""
        self.outlet.drop()

    def end(self, subscription: Subscription) -> None:
        """Close a channel from the server's side."""
        self._part(subscription)
        self._send(self._connection.close(subscription.channel))

    async def settle(self) -> None:
        """Finish what the client has asked for so far."""
        if self._flying:
            self._landed = self._landed or asyncio.Event()
            await self._landed.wait()
        if self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Leave every room, and finish what the client has asked for."""
        self._is_closed = True
        for subscription in self._subscriptions:
            self._part(subscription)
        await self.settle()

    def _put(self, subscription: Subscription, message: Message) -> None:
        if message.event in INSTANT and not subscription.inbox:
            try:
                self._answer(subscription, message)
            except Exception as error:  # noqa: BLE001  # told apart there
                self._fail(subscription, message, error)
            return
        inbox = subscription.inbox
        if len(inbox) >= self._shared.limits.pending_events:
            self._reply(subscription.channel, message.ref, "too many events are waiting")
        elif message.event == "shout" and not (inbox and inbox[-1]) and self._fly(subscription, message):
            inbox.append(None)
        else:
            inbox.append(message)
            if len(inbox) == 1:
                self._begin(subscription)

    def _begin(self, subscription: Subscription) -> None:
        task = asyncio.create_task(self._work(subscription))
        self._tasks = {*self._tasks, task} if self._tasks else {task}
        task.add_done_callback(self._forget)

    def _fly(self, subscription: Subscription, message: Message) -> bool:
        """Give a shout to the writer; what is wrong with it is said in its turn, by _do()."""
        seat = subscription.seat
        # A trace follows tasks.
        if seat is None or is_on():
            return False
        started = perf_counter()
        try:
            self._shared.chat.take_shout(
                seat, subscription.channel.topic, message.payload, partial(self._land, subscription, message, started)
            )
        except (Refusal, RequestError):
            return False
        self._flying += 1
        return True

    def _land(self, subscription: Subscription, message: Message, started: float, error: Exception | None) -> None:
        """Take what became of a shout."""
        if error is None:
            self._shared.metrics.shout_seconds.observe(perf_counter() - started)
        else:
            # The writer serves many requests, and a failure is logged under its own.
            context = contextvars.Context()
            context.run(resume_request, self._request_id)
            context.run(self._fail, subscription, message, error)
        inbox = subscription.inbox
        del inbox[0]
        if inbox and inbox[0] is not None:
            self._begin(subscription)
        self._flying -= 1
        if not self._flying and self._landed is not None:
            self._landed.set()
            self._landed = None

    def _forget(self, task: asyncio.Task[None]) -> None:
        if self._tasks is not None:
            self._tasks.discard(task)
            self._tasks = self._tasks or None

    def _find(self, channel: Channel) -> Subscription:
        """Return the subscription of an open channel; there are few, so looked for without a generator."""
        for subscription in self._subscriptions:
            if subscription.channel is channel:
                return subscription
        raise LookupError(channel.topic)

    async def _work(self, subscription: Subscription) -> None:
        """Empty an inbox."""
        resume_request(self._request_id)
        inbox = subscription.inbox
        while inbox and (message := inbox[0]) is not None:
            try:
                await self._do(subscription, message)
            except Exception as error:  # noqa: BLE001  # told apart there
                self._fail(subscription, message, error)
            del inbox[0]

    async def _do(self, subscription: Subscription, message: Message) -> None:
        channel, seat, chat = subscription.channel, subscription.seat, self._shared.chat
        if message.event == "phx_join":
            with self._shared.metrics.join_seconds.time(), span("join"):
                await self._join(subscription, message)
        elif seat is None:
            # Sent behind a join that was refused.
            raise Refusal("unmatched topic")
        elif message.event == "shout":
            with self._shared.metrics.time_shout(), span("shout"):
                await chat.shout(seat, channel.topic, message.payload)
        elif message.event == "stamp":
            known = await chat.stamp(seat, channel.topic, message.payload)
            if known is not None:
                # The room was told long ago; who threw it again is still waiting.
                self._accept(channel, message.ref, {"data": known})
        elif message.event in INSTANT:
            self._answer(subscription, message)
        elif (handler := self._shared.extensions.handlers.get(message.event)) is not None:
            response = await handler(Event(channel.topic, self.identity, seat, message.payload, subscription))
            self._accept(channel, message.ref, response)
        else:
            raise Refusal("unknown event")

    def _answer(self, subscription: Subscription, message: Message) -> None:
        """Do one of the instant events."""
        channel, seat = subscription.channel, subscription.seat
        if seat is None or subscription.is_over:
            raise Refusal("unmatched topic")
        match message.event:
            case "whisper":
                but = None if subscription.hears_itself else subscription
                self._shared.chat.whisper(seat, channel.topic, message.payload, but)
            case "ping":
                self._accept(channel, message.ref, message.payload)
            case _:
                self._renew(message.payload)
                self._accept(channel, message.ref, {})

    async def _join(self, subscription: Subscription, message: Message) -> None:
        """Listen first and ask then, so that nothing which is told in between is missed, a leave above all."""
        if self._is_closed or not self._connection.is_open(subscription.channel):
            return
        topic = subscription.channel.topic
        # One string for a room, however many have sent it.
        subscription.channel.topic = topic = self._shared.rooms.enter(topic, subscription)
        seat = await self._shared.chat.find_seat(self.identity, topic)
        response, after = await self._shared.chat.replay(seat, message.payload)
        if subscription.is_cut_from(seat):
            raise Refusal("unauthorized")
        if subscription.is_over:
            return
        subscription.seat = seat
        subscription.hears_itself = isinstance(message.payload, dict) and message.payload.get("self") is True
        self._shared.metrics.joins.inc()
        self._send(self._connection.joined(subscription.channel, message.ref, response))
        await self._greet(subscription, seat, message.payload)
        subscription.open(after)

    async def _greet(self, subscription: Subscription, seat: Seat, payload: Any) -> None:
        """Tell the features, before the channel hears its room."""
        topic = subscription.channel.topic

        def push(event: str, payload: Any) -> None:
            if not subscription.is_over:
                self._send([Send(Message(topic, event, payload, join_ref=subscription.channel.join_ref))])

        subscription.greeting = True
        joined = Joined(topic, self.identity, seat, subscription, push, subscription.mute, payload)
        try:
            await self._shared.extensions.joined(joined)
        except Exception as error:  # noqa: BLE001  # whatever it was, the client joins again
            self._crash(subscription, "phx_join", error)
        finally:
            subscription.greeting = False
            if subscription.is_over:
                self._shared.extensions.left(topic, self.identity, seat, subscription)

    def _renew_for(self, message: Message) -> None:
        try:
            self._renew(message.payload)
        except (Refusal, RequestError) as error:
            reason = error.reason if isinstance(error, Refusal) else error.message
            reply = Reply(message.topic, "error", {"reason": reason}, ref=message.ref)
        else:
            reply = Reply(message.topic, "ok", {}, ref=message.ref)
        self._send([Send(reply)])

    def _renew(self, payload: Any) -> None:
        self.auth_time = max(self.auth_time, self._shared.renew(self.identity, payload))

    def _fail(self, subscription: Subscription, message: Message, error: Exception) -> None:
        match error:
            case Refusal():
                self._refuse(subscription, message, error.reason)
            case RequestError():
                self._refuse(subscription, message, error.message)
            case _:
                self._crash(subscription, message.event, error)

    def _crash(self, subscription: Subscription, event: str, error: Exception) -> None:
        """End a channel, as Phoenix does after what nobody foresaw; the client joins again."""
        if isinstance(error, RequestError):
            logger.warning("a channel was not greeted", extra={"fields": {"cause": repr(error)}})
        else:
            logger.error("a channel failed", exc_info=error, extra={"fields": {"event": event}})
        self._shared.metrics.crashes.inc()
        self._part(subscription)
        # What waits behind it in the inbox is not for a channel that has ended like this.
        subscription.seat = None
        self._send(self._connection.crash(subscription.channel))

    def _refuse(self, subscription: Subscription, message: Message, reason: str) -> None:
        if message.event != "phx_join":
            self._reply(subscription.channel, message.ref, reason)
            return
        self._part(subscription)
        self._send(self._connection.refused(subscription.channel, message.ref, reason))

    def _part(self, subscription: Subscription) -> None:
        """Stop listening, once."""
        if subscription.is_over:
            return
        subscription.is_over = True
        topic, seat = subscription.channel.topic, subscription.seat
        self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)
        self._shared.rooms.leave(topic, subscription)
        if subscription.greeting is False and seat is not None:
            self._shared.extensions.left(topic, self.identity, seat, subscription)

    def _accept(self, channel: Channel, ref: Ref, response: Any) -> None:
        try:
            self._send([Send(Reply(channel.topic, "ok", response, ref=ref, join_ref=channel.join_ref))])
        except ProtocolError as error:
            raise Refusal("the payload holds a number that is too large") from error

    def _turn_away(self, message: Message, reason: str) -> None:
        reply = Reply(message.topic, "error", {"reason": reason}, ref=message.ref, join_ref=message.join_ref)
        self._send([Send(reply)])

    def _reply(self, channel: Channel, ref: Ref, reason: str) -> None:
        reply = Reply(channel.topic, "error", {"reason": reason}, ref=ref, join_ref=channel.join_ref)
        self._send([Send(reply)])

    def _send(self, effects: Iterable[Send]) -> None:
        for effect in effects:
            self._shared.rooms.flush(effect.frame.topic)
            self.outlet.send(encode(effect.frame, self.version))
