"""Live one socket's life: what comes in goes through the connection's table, what it asks for is done in order.

Each channel has an inbox, and a task only while there is something in it. So a topic's events are carried out one
after the other, a slow database holds up neither heartbeats nor other topics, and an idle socket costs no task.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable

from services.chat.bus import Told
from services.chat.chat import Chat
from services.chat.connection import Channel, Connection, Dispatch, Join, Part, Send
from services.chat.errors import Refusal
from services.chat.frames import Outlet
from services.chat.limits import Limits, TokenBucket
from services.chat.metrics import ChatMetrics
from services.chat.models import Seat
from services.chat.names import parse_id
from services.chat.protocol import Message, Ref, Reply, Version, encode
from services.chat.room import Rooms
from services.errors import RequestError

# Told while the database is asked whether somebody may join; more than this is a room that nobody could follow.
MAX_HELD = 1000

logger = logging.getLogger(__name__)


class Subscription:
    """Be one channel in its room: it holds back what is told while its join is under way.

    Args:
        session: of the socket.
        channel: of the join.
        seat: the member's place in the room, once that is known.
    """

    __slots__ = ("_after", "_held", "channel", "inbox", "is_cut", "seat", "session")

    def __init__(self, session: Session, channel: Channel) -> None:
        self.session = session
        self.channel = channel
        self.inbox: deque[Message] = deque()
        self.seat: Seat | None = None
        self.is_cut = False
        self._held: list[tuple[Told, bytes]] | None = []
        self._after = 0

    @property
    def version(self) -> Version:
        """The serializer of the socket."""
        return self.session.version

    @property
    def identity(self) -> str:
        """The person behind the socket."""
        return self.session.identity

    def tell(self, told: Told, frame: bytes) -> None:
        """Send a broadcast on, or hold it back for now."""
        if self._held is None:
            if not 0 < told.message_id <= self._after:
                self.session.deliver(frame)
        elif len(self._held) < MAX_HELD:
            self._held.append((told, frame))
        else:
            self.session.abort()

    def cut(self) -> None:
        """End from the server's side."""
        self.is_cut = True
        if self._held is None:
            self.session.end(self)

    def open(self, after: int) -> None:
        """Send what was held back, and hold back no more.

        Args:
            after: the last message that the client has been sent already.
        """
        held, self._held, self._after = self._held or [], None, after
        for told, frame in held:
            self.tell(told, frame)


class Session:
    """Be one client.

    Args:
        identity: who it is.
        version: the serializer that it speaks.
        outlet: the way to it.
        chat: what can be done.
        rooms: where it listens.
        limits: what it may do at most.
        metrics: what is counted.
    """

    __slots__ = (
        "_bucket",
        "_chat",
        "_connection",
        "_is_closed",
        "_limits",
        "_metrics",
        "_outlet",
        "_rooms",
        "_subscriptions",
        "_tasks",
        "identity",
        "version",
    )

    def __init__(
        self,
        *,
        identity: str,
        version: Version,
        outlet: Outlet,
        chat: Chat,
        rooms: Rooms,
        limits: Limits,
        metrics: ChatMetrics,
    ) -> None:
        self.identity = identity
        self.version = version
        self._outlet = outlet
        self._chat = chat
        self._rooms = rooms
        self._limits = limits
        self._metrics = metrics
        self._connection = Connection(max_channels=limits.channels)
        self._bucket = TokenBucket(limits.events_per_second, limits.events_burst)
        self._subscriptions: dict[Channel, Subscription] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closed = False

    def receive(self, message: Message) -> bool:
        """Take a client's message; it never waits.

        Returns:
            Whether the client keeps to its rate; if not, the message was refused.
        """
        if not self._bucket.take():
            reason = {"reason": f"rate limited: at most {self._limits.events_per_second} events a second"}
            reply = Reply(message.topic, "error", reason, ref=message.ref, join_ref=message.join_ref)
            self._send([Send(reply)])
            return False
        for effect in self._connection.handle(message):
            match effect:
                case Send():
                    self._send([effect])
                case Join(channel, _):
                    self._subscriptions[channel] = Subscription(self, channel)
                    self._put(channel, message)
                case Dispatch(channel, _):
                    self._put(channel, message)
                case Part(channel):
                    self._forget(self._subscriptions.pop(channel))
        return True

    def deliver(self, frame: bytes) -> None:
        """Send a broadcast."""
        self._outlet.write(frame)

    def abort(self) -> None:
        """Drop the client, which cannot follow."""
        self._outlet.drop()

    def end(self, subscription: Subscription) -> None:
        """Close a channel from the server's side."""
        self._subscriptions.pop(subscription.channel, None)
        self._send(self._connection.close(subscription.channel))

    async def close(self) -> None:
        """Leave every room, and finish what the client has asked for."""
        self._is_closed = True
        for subscription in self._subscriptions.values():
            self._forget(subscription)
        self._subscriptions.clear()
        if self._tasks:
            await asyncio.gather(*self._tasks)

    def _put(self, channel: Channel, message: Message) -> None:
        subscription = self._subscriptions[channel]
        if len(subscription.inbox) >= self._limits.pending_events:
            self._reply(channel, message.ref, "too many events are waiting")
            return
        subscription.inbox.append(message)
        if len(subscription.inbox) == 1:
            task = asyncio.create_task(self._work(subscription))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self, subscription: Subscription) -> None:
        """Empty an inbox."""
        inbox, channel = subscription.inbox, subscription.channel
        while inbox:
            message = inbox[0]
            try:
                await self._do(subscription, message)
            except Refusal as error:
                self._refuse(subscription, message, error.reason)
            except RequestError as error:
                self._refuse(subscription, message, error.message)
            except Exception:
                # As in Phoenix, what nobody foresaw ends the channel, and the client joins again.
                logger.exception("a channel failed", extra={"fields": {"event": message.event}})
                self._forget(subscription)
                self._subscriptions.pop(channel, None)
                self._send(self._connection.crash(channel))
            inbox.popleft()

    async def _do(self, subscription: Subscription, message: Message) -> None:
        channel, seat = subscription.channel, subscription.seat
        if message.event == "phx_join":
            await self._join(subscription, message)
            return
        if seat is None:
            # Sent behind a join that was refused.
            raise Refusal("unmatched topic")
        match message.event:
            case "shout":
                await self._chat.shout(seat, channel.topic, message.payload)
            case "stamp":
                await self._chat.stamp(seat, channel.topic, message.payload)
            case "ping":
                reply = Reply(channel.topic, "ok", message.payload, ref=message.ref, join_ref=channel.join_ref)
                self._send([Send(reply)])
            case _:
                raise Refusal("unknown event")

    async def _join(self, subscription: Subscription, message: Message) -> None:
        """Listen first and ask then, so that nothing which is told in between is missed, a leave above all."""
        if self._is_closed:
            return
        topic = subscription.channel.topic
        self._rooms.enter(topic, subscription)
        seat = await self._chat.find_seat(self.identity, topic)
        response, after = await self._missed(seat, message)
        if subscription.is_cut:
            raise Refusal("unauthorized")
        if not self._connection.is_open(subscription.channel):
            self._forget(subscription)
            return
        subscription.seat = seat
        self._metrics.joins.inc()
        self._send(self._connection.joined(subscription.channel, message.ref, response))
        subscription.open(after)

    async def _missed(self, seat: Seat, message: Message) -> tuple[dict[str, object], int]:
        """Return the join's response, and the last message that is in it or known to the client."""
        asked = message.payload.get("last_message_id") if isinstance(message.payload, dict) else None
        if asked is None:
            return {}, 0
        last = 0 if asked == 0 else parse_id("last_message_id", asked)
        missed = await self._chat.missed(seat, last)
        if missed is None:
            return {"messages": [], "recovered": False}, 0
        return {"messages": missed, "recovered": True}, missed[-1].id if missed else last

    def _refuse(self, subscription: Subscription, message: Message, reason: str) -> None:
        if message.event != "phx_join":
            self._reply(subscription.channel, message.ref, reason)
            return
        self._forget(subscription)
        self._subscriptions.pop(subscription.channel, None)
        self._send(self._connection.refused(subscription.channel, message.ref, reason))

    def _reply(self, channel: Channel, ref: Ref, reason: str) -> None:
        reply = Reply(channel.topic, "error", {"reason": reason}, ref=ref, join_ref=channel.join_ref)
        self._send([Send(reply)])

    def _forget(self, subscription: Subscription) -> None:
        self._rooms.leave(subscription.channel.topic, subscription)

    def _send(self, effects: Iterable[Send]) -> None:
        for effect in effects:
            self._outlet.send(encode(effect.frame, self.version))
