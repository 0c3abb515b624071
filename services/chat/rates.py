"""Hold clients to their rates: each socket by buckets of its own, each person and address by what all of it shares."""

from __future__ import annotations

from services.chat.limits import Limits
from services.rate_limits import Buckets, Rate


class Rates:
    """Be what people and addresses have left in this process, and what a socket may do.

    Args:
        limits: how much is too much.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.handshakes = Buckets(limits.handshakes_per_second, limits.handshakes_burst)
        self.events = Buckets(limits.user_events_per_second, limits.user_events_burst)
        self.joins = Buckets(limits.user_joins_per_second, limits.user_joins_burst)
        self.socket_events = Rate(limits.events_per_second, limits.events_burst)
        self.socket_whispers = Rate(limits.whispers_per_second, limits.whispers_burst)
        self.socket_joins = Rate(limits.joins_per_second, limits.joins_burst)


class Pace:
    """Be the rates of one socket.

    Args:
        identity: whose it is.
        rates: what a socket may do, and what the person has left on all sockets together.
    """

    __slots__ = ("_events", "_identity", "_joins", "_rates", "_whispers")

    def __init__(self, identity: str, rates: Rates) -> None:
        self._identity = identity
        self._rates = rates
        # When each will be full again: a number, and until something happens not even a new one.
        self._events = self._whispers = self._joins = 0.0

    def flooded(self) -> str:
        """Take one event; return why it is one too many, or nothing."""
        full_at = self._rates.socket_events.take(self._events)
        if not full_at:
            return f"rate limited: at most {self._rates.limits.events_per_second} events a second"
        self._events = full_at
        if self._rates.events.take(self._identity):
            most = self._rates.limits.user_events_per_second
            return f"rate limited: at most {most} events a second on all sockets of one person"
        return ""

    def hurried(self, event: str) -> str:
        """Take what this kind of event costs besides; return why it is one too many, or nothing."""
        if event == "whisper":
            full_at = self._rates.socket_whispers.take(self._whispers)
            if not full_at:
                return f"rate limited: at most {self._rates.limits.whispers_per_second} whispers a second"
            self._whispers = full_at
        if event == "phx_join":
            full_at = self._rates.socket_joins.take(self._joins)
            if not full_at:
                return f"rate limited: at most {self._rates.limits.joins_per_second} joins a second"
            self._joins = full_at
            if self._rates.joins.take(self._identity):
                most = self._rates.limits.user_joins_per_second
                return f"rate limited: at most {most} joins a second on all sockets of one person"
        return ""
