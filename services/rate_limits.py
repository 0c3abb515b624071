"""Bound how often each of many callers may do something, in a memory that is bounded too."""

from __future__ import annotations

import ipaddress
import math
import socket
import time
from collections import OrderedDict
from collections.abc import Callable

from services.errors import TooManyRequests
from services.port_settings import RateSettings

# A home or a phone gets at least a /64 of IPv6 and may pick any address in it (RFC 6177).
_IPV6_PREFIX = 64
# What is no address is a key all the same, but not one of any length.
_MOST_KEY = 64


# Sums of intervals are not exact.
_MOMENT = 1e-6


class Rate:
    """Allow so many events a second, and so many at once; what somebody has left is one number, kept by them.

    The number is the moment at which their bucket will be full again (the generic cell rate algorithm); 0.0 is full.

    Args:
        rate: a second.
        burst: at once.
        clock: seconds that only grow.
    """

    __slots__ = ("_clock", "_interval", "_longest", "_span")

    def __init__(self, rate: float, burst: float, *, clock: Callable[[], float] = time.monotonic) -> None:
        if rate <= 0 or burst < 1:
            raise ValueError(f"a bucket needs a rate over 0 and a burst of 1 at least, not {rate} and {burst}")
        self._clock = clock
        self._interval = 1 / rate
        self._span = (burst - 1) / rate
        self._longest = self._span + _MOMENT

    def take(self, full_at: float, now: float | None = None) -> float:
        """Take one token; return when the bucket will be full again, or 0.0 where there was no token.

        Args:
            full_at: when it would be full without that.
            now: by the clock, from whoever knows it.
        """
        if now is None:
            now = self._clock()
        full_at = max(full_at, now)
        return full_at + self._interval if full_at - now <= self._longest else 0.0

    def wait(self, full_at: float, now: float) -> float:
        """Return the seconds until a bucket without a token has one."""
        return full_at - now - self._span


class Buckets:
    """Give every key a token bucket of its own.

    A bucket is remembered as the moment at which it will be full again: one number a key. A bucket that is full says
    nothing, so it is forgotten; where too many are not, the one that was asked longest ago is.

    Args:
        rate: tokens a second.
        burst: tokens that a key has at first, and at most.
        most: keys remembered at once.
        clock: seconds that only grow.
    """

    def __init__(
        self, rate: float, burst: float, *, most: int = 100_000, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = Rate(rate, burst)
        self._most = most
        self._clock = clock
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def take(self, key: str) -> float:
        """Take a token of a key's bucket.

        Returns:
            0.0 when there was one, else the seconds until there will be; nothing is then taken.
        """
        now = self._clock()
        full_at = self._full_at.pop(key, 0.0)
        taken = self._rate.take(full_at, now)
        # Taken out and put back, it stands last: whoever was asked longest ago stands first.
        self._full_at[key] = taken or full_at
        self._forget(now)
        return 0.0 if taken else self._rate.wait(full_at, now)

    def __len__(self) -> int:
        return len(self._full_at)

    def _forget(self, now: float) -> None:
        """Look at the two oldest, of which one at most is new: what a flood took comes back a little at each call."""
        for _ in range(2):
            oldest = next(iter(self._full_at))
            if len(self._full_at) <= self._most and self._full_at[oldest] > now:
                break
            del self._full_at[oldest]


def address_key(address: str) -> str:
    """Return what stands for a client's address: itself, or the /64 network of an IPv6 address."""
    if _is_ipv4(address):
        return address
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address[:_MOST_KEY]
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((int(parsed), _IPV6_PREFIX), strict=False))


def _is_ipv4(address: str) -> bool:
    """Say so for the one way to write each, in a tenth of the time that ipaddress takes; every handshake asks."""
    try:
        socket.inet_pton(socket.AF_INET, address)
    except (OSError, ValueError):
        return False
    return True


class RequestRates:
    """Say who calls too often, by address before anybody is authenticated and by user after.

    Args:
        settings: how often is too often.
        refused: called with the limit's name for each refusal.
    """

    def __init__(self, settings: RateSettings, refused: Callable[[str], None]) -> None:
        most = settings.most_keys
        self._addresses = Buckets(settings.address_per_second, settings.address_burst, most=most)
        self._logins = Buckets(settings.logins_per_minute / 60, settings.logins_burst, most=most)
        self._users = Buckets(settings.user_per_second, settings.user_burst, most=most)
        self._writes = Buckets(settings.writes_per_second, settings.writes_burst, most=most)
        self._refused = refused

    def check_address(self, address: str, *, is_login: bool) -> None:
        """Count a request from an address.

        Raises:
            TooManyRequests: there were too many.
        """
        key = address_key(address)
        self._take("address", self._addresses, key)
        if is_login:
            self._take("login", self._logins, key)

    def check_user(self, identity: str, *, writes: bool) -> None:
        """Count a request of a user.

        Raises:
            TooManyRequests: there were too many.
        """
        self._take("user", self._users, identity)
        if writes:
            self._take("write", self._writes, identity)

    def _take(self, name: str, buckets: Buckets, key: str) -> None:
        wait = buckets.take(key)
        if wait > 0:
            self._refused(name)
            raise TooManyRequests("There are too many requests; wait a moment.", retry_after=math.ceil(wait))
