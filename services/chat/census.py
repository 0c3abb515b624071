"""Count who has how many sockets open, here."""

from __future__ import annotations

from collections import Counter

from services.chat.limits import Limits
from services.errors import TooManyRequests, Unavailable

# Some of the others will have closed by then.
RETRY_SECONDS = 10


class Census:
    """Let sockets in while there is room for them.

    Args:
        limits: how many a person, an address and the process may have.
    """

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._users: Counter[str] = Counter()
        self._addresses: Counter[str] = Counter()
        self._all = 0

    def enter(self, identity: str, address: str) -> None:
        """Count one more; leave() has to follow.

        Raises:
            TooManyRequests: the person or the address has as many as it may.
            Unavailable: the process has.
        """
        if self._users[identity] >= self._limits.sockets_per_user:
            raise TooManyRequests("Too many sockets are open.", code="too_many_sockets", retry_after=RETRY_SECONDS)
        if self._addresses[address] >= self._limits.sockets_per_address:
            message = "Too many sockets are open from this address."
            raise TooManyRequests(message, code="too_many_sockets_of_address", retry_after=RETRY_SECONDS)
        if self._all >= self._limits.sockets:
            raise Unavailable("This process is full; connect again.", code="full", retry_after=RETRY_SECONDS)
        self._users[identity] += 1
        self._addresses[address] += 1
        self._all += 1

    def leave(self, identity: str, address: str) -> None:
        """Count one less; whoever has none is forgotten."""
        self._all -= 1
        for counter, key in ((self._users, identity), (self._addresses, address)):
            counter[key] -= 1
            if not counter[key]:
                del counter[key]

    def __len__(self) -> int:
        return len(self._users) + len(self._addresses)
