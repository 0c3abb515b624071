"""Say how patient a service's public port is, and how often it may be called; every limit has a safe default."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from services.settings import Source

# No number has to be higher: it is then no limit.
MANY = 1_000_000


@dataclass(frozen=True)
class ConnectionSettings:
    """Say how patient the public port is with connections.

    Attributes:
        most: open at once.
        most_waiting: of them, those that have yet to finish a request's head; beyond, those that wait longest soon go.
        head_seconds: how long a request's head may take.
        body_seconds: how long its body may take.
    """

    most: int = 30_000
    most_waiting: int = 1000
    head_seconds: float = 10
    body_seconds: float = 15


@dataclass(frozen=True)
class RateSettings:
    """Say how often REST may be called; sockets have limits of their own.

    A mobile carrier puts thousands of phones behind one address, so an address may do much, and a user less.

    Attributes:
        address_per_second: requests from one client address, before anybody is authenticated.
        address_burst: at once.
        user_per_second: requests of one user.
        user_burst: at once.
        writes_per_second: of them, those that change something.
        writes_burst: at once.
        logins_per_minute: logins from one client address.
        logins_burst: at once.
        most_keys: addresses, and users, remembered at once.
    """

    address_per_second: int = 500
    address_burst: int = 5000
    user_per_second: int = 20
    user_burst: int = 100
    writes_per_second: int = 5
    writes_burst: int = 50
    logins_per_minute: int = 300
    logins_burst: int = 300
    most_keys: int = 100_000


def load_connections(source: Source) -> ConnectionSettings:
    """Read how patient the port is."""
    usual = ConnectionSettings()
    return ConnectionSettings(
        most=source.integer("MAX_CONNECTIONS", usual.most, least=1, most=MANY),
        most_waiting=source.integer("MAX_WAITING_CONNECTIONS", usual.most_waiting, least=1, most=MANY),
        head_seconds=source.integer("HEAD_SECONDS", int(usual.head_seconds), least=1, most=600),
        body_seconds=source.integer("BODY_SECONDS", int(usual.body_seconds), least=1, most=600),
    )


def load_rates(source: Source) -> RateSettings:
    """Read how often is too often."""
    usual = RateSettings()

    def rate(name: str, default: int) -> int:
        return source.integer(name, default, least=1, most=MANY)

    return RateSettings(
        address_per_second=rate("RATE_ADDRESS_PER_SECOND", usual.address_per_second),
        address_burst=rate("RATE_ADDRESS_BURST", usual.address_burst),
        user_per_second=rate("RATE_USER_PER_SECOND", usual.user_per_second),
        user_burst=rate("RATE_USER_BURST", usual.user_burst),
        writes_per_second=rate("RATE_WRITES_PER_SECOND", usual.writes_per_second),
        writes_burst=rate("RATE_WRITES_BURST", usual.writes_burst),
        logins_per_minute=rate("RATE_LOGINS_PER_MINUTE", usual.logins_per_minute),
        logins_burst=rate("RATE_LOGINS_BURST", usual.logins_burst),
        most_keys=rate("RATE_MAX_KEYS", usual.most_keys),
    )
