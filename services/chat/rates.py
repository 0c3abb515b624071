"""Hold clients to their rates: each socket by buckets of its own, each person and address by what all of it shares."""

from __future__ import annotations

from services.chat.limits import Limits, TokenBucket
from services.rate_limits import Buckets


class Rates:
    """Be what people and addresses have left in this process.

    Args:
        limits: how much is too much.
    """

    def __init__(self, limits: Limits) -> None:
        self.handshakes = Buckets(limits.handshakes_per_second, limits.handshakes_burst)
        self.events = Buckets(limits.user_events_per_second, limits.user_events_burst)
        self.joins = Buckets(limits.user_joins_per_second, limits.user_joins_burst)


class Pace:
    """Be the rates of one socket.

    Args:
        identity: whose it is.
        limits: how much is too much.
        rates: what the person has left on all sockets together.
    """

    __slots__ = ("_events", "_identity", "_joins", "_limits", "_rates", "_whispers")

    def __init__(self, identity: str, limits: Limits, rates: Rates) -> None:
        self._identity = identity
        self._limits = limits
        self._rates = rates
        self._events = TokenBucket(limits.events_per_second, limits.events_burst)
        self._whispers = TokenBucket(limits.whispers_per_second, limits.whispers_burst)
        self._joins = TokenBucket(limits.joins_per_second, limits.joins_burst)

    def flooded(self) -> str:
        """Take one event; return why it is one too many, or nothing."""
        if not self._events.take():
            return f"rate limited: at most {self._limits.events_per_second} events a second"
        if self._rates.events.take(self._identity):
            most = self._limits.user_events_per_second
            return f"rate limited: at most {most} events a second on all sockets of one person"
        return ""

    def hurried(self, event: str) -> str:
        """Take what this kind of event costs besides; return why it is one too many, or nothing."""
        if event == "whisper" and not self._whispers.take():
            return f"rate limited: at most {self._limits.whispers_per_second} whispers a second"
        if event == "phx_join":
            if not self._joins.take():
                return f"rate limited: at most {self._limits.joins_per_second} joins a second"
            if self._rates.joins.take(self._identity):
                most = self._limits.user_joins_per_second
                return f"rate limited: at most {most} joins a second on all sockets of one person"
        return ""
