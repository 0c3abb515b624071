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

from services.chat.acts import INSTANT, answer, do
from services.chat.connection import Channel, Connection, Dispatch, Join, Part, Renew, Send
from services.chat.errors import ProtocolError, Refusal
from services.chat.frames import Outlet
from services.chat.protocol import Message, Ref, Reply, Version, encode
from services.chat.rates import Pace
from services.chat.shared import Shared
from services.chat.subscription import Subscription
from services.errors import RequestError
from services.logs import request_id, resume_request
from services.tokens import Claims
from services.tracing import is_on

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
        connection: what the client has joined.
        is_closed: whether the socket is gone.
    """

    __slots__ = (
        "_flying",
        "_landed",
        "_pace",
        "_request_id",
        "_subscriptions",
        "_tasks",
        "auth_time",
        "connection",
        "identity",
        "is_closed",
        "outlet",
        "shared",
        "version",
    )

    def __init__(self, *, shared: Shared, claims: Claims, version: Version, outlet: Outlet) -> None:
        self.identity = claims.identity
        self.auth_time = claims.auth_time
        self.version = version
        # Of the handshake: what is said over the socket is logged under it.
        self._request_id = request_id()
        self.shared = shared
        self.outlet = outlet
        self.connection = Connection(max_channels=shared.limits.channels)
        self._pace = Pace(claims.identity, shared.rates)
        # Of an idle socket: one, of which a tuple takes a fifth of what a dict does, and none.
        self._subscriptions: tuple[Subscription, ...] = ()
        self._tasks: set[asyncio.Task[None]] | None = None
        self.is_closed = False
        # Shouts that the writer has in hand, and what is set when there are none any more.
        self._flying = 0
        self._landed: asyncio.Event | None = None

    def receive(self, message: Message) -> bool:
        """Take a client's message; it never waits.

        Returns:
            Whether the client keeps to its rate; if not, the message was refused.
        """
        if reason := self._pace.flooded() or self._pace.hurried(message.event):
            self.shared.metrics.refused.inc()
            self._turn_away(message, reason)
            return False
        if self.shared.is_stopping and message.topic != "phoenix":
            self._turn_away(message, "this process is restarting; connect again")
            return True
        for effect in self.connection.handle(message):
            # Nearly all are this one, and a pattern costs as much as what it leads to.
            if isinstance(effect, Dispatch):
                self._put(self._find(effect.channel), message)
                continue
            match effect:
                case Send():
                    self.send([effect])
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
        self.send(self.connection.close(subscription.channel))

    async def settle(self) -> None:
        """Finish what the client has asked for so far."""
        if self._flying:
            self._landed = self._landed or asyncio.Event()
            await self._landed.wait()
        if self._tasks:
            await asyncio.gather(*self._tasks)

    async def close(self) -> None:
        """Leave every room, and finish what the client has asked for."""
        self.is_closed = True
        for subscription in self._subscriptions:
            self._part(subscription)
        await self.settle()

    def send(self, effects: Iterable[Send]) -> None:
        """Send the client something, behind what its rooms are to be told."""
        for effect in effects:
            self.shared.rooms.flush(effect.frame.topic)
            self.outlet.send(encode(effect.frame, self.version))

    def accept(self, channel: Channel, ref: Ref, response: Any) -> None:
        """Answer an event of a channel with ok.

        Raises:
            Refusal: the answer cannot be written.
        """
        try:
            self.send([Send(Reply(channel.topic, "ok", response, ref=ref, join_ref=channel.join_ref))])
        except ProtocolError as error:
            raise Refusal("the payload holds a number that is too large") from error

    def renew(self, payload: Any) -> None:
        """Take a newer token.

        Raises:
            Refusal: it is none, or somebody else's.
            TokenError: it is not ours, or over.
        """
        self.auth_time = max(self.auth_time, self.shared.renew(self.identity, payload))

    def crash(self, subscription: Subscription, event: str, error: Exception) -> None:
        """End a channel, as Phoenix does after what nobody foresaw; the client joins again."""
        if isinstance(error, RequestError):
            logger.warning("a channel was not greeted", extra={"fields": {"cause": repr(error)}})
        else:
            logger.error("a channel failed", exc_info=error, extra={"fields": {"event": event}})
        self.shared.metrics.crashes.inc()
        self._part(subscription)
        # What waits behind it in the inbox is not for a channel that has ended like this.
        subscription.seat = None
        self.send(self.connection.crash(subscription.channel))

    def _put(self, subscription: Subscription, message: Message) -> None:
        if message.event in INSTANT and not subscription.inbox:
            try:
                answer(self, subscription, message)
            except Exception as error:  # noqa: BLE001  # told apart there
                self._fail(subscription, message, error)
            return
        inbox = subscription.inbox
        if len(inbox) >= self.shared.limits.pending_events:
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
            self.shared.chat.take_shout(
                seat, subscription.channel.topic, message.payload, partial(self._land, subscription, message, started)
            )
        except (Refusal, RequestError):
            return False
        self._flying += 1
        return True

    def _land(self, subscription: Subscription, message: Message, started: float, error: Exception | None) -> None:
        """Take what became of a shout."""
        if error is None:
            self.shared.metrics.shout_seconds.observe(perf_counter() - started)
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
                await do(self, subscription, message)
            except Exception as error:  # noqa: BLE001  # told apart there
                self._fail(subscription, message, error)
            del inbox[0]

    def _renew_for(self, message: Message) -> None:
        try:
            self.renew(message.payload)
        except (Refusal, RequestError) as error:
            reason = error.reason if isinstance(error, Refusal) else error.message
            reply = Reply(message.topic, "error", {"reason": reason}, ref=message.ref)
        else:
            reply = Reply(message.topic, "ok", {}, ref=message.ref)
        self.send([Send(reply)])

    def _fail(self, subscription: Subscription, message: Message, error: Exception) -> None:
        match error:
            case Refusal():
                self._refuse(subscription, message, error.reason)
            case RequestError():
                self._refuse(subscription, message, error.message)
            case _:
                self.crash(subscription, message.event, error)

    def _refuse(self, subscription: Subscription, message: Message, reason: str) -> None:
        if message.event != "phx_join":
            self._reply(subscription.channel, message.ref, reason)
            return
        self._part(subscription)
        self.send(self.connection.refused(subscription.channel, message.ref, reason))

    def _part(self, subscription: Subscription) -> None:
        """Stop listening, once."""
        if subscription.is_over:
            return
        subscription.is_over = True
        topic, seat = subscription.channel.topic, subscription.seat
        self._subscriptions = tuple(one for one in self._subscriptions if one is not subscription)
        self.shared.rooms.leave(topic, subscription)
        if subscription.greeting is False and seat is not None:
            self.shared.extensions.left(topic, self.identity, seat, subscription)

    def _turn_away(self, message: Message, reason: str) -> None:
        reply = Reply(message.topic, "error", {"reason": reason}, ref=message.ref, join_ref=message.join_ref)
        self.send([Send(reply)])

    def _reply(self, channel: Channel, ref: Ref, reason: str) -> None:
        reply = Reply(channel.topic, "error", {"reason": reason}, ref=ref, join_ref=channel.join_ref)
        self.send([Send(reply)])
