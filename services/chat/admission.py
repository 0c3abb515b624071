"""Decide whether a socket may be opened: by who asks, from where, and how many there are already."""

from __future__ import annotations

import math

from services.chat.census import Census
from services.chat.errors import Unwelcome
from services.chat.handshake import Handshake
from services.chat.limits import Limits
from services.chat.metrics import ChatMetrics
from services.errors import RequestError, TokenError, TooManyRequests, Unavailable
from services.health import Health
from services.rate_limits import Buckets
from services.tokens import Claims, Verifier


class Admission:
    """Let sockets in, and count those that are.

    Args:
        verifier: of tokens.
        origins: web pages whose sockets are welcome.
        limits: how many there may be.
        handshakes: what addresses have left of theirs.
        metrics: where refusals are counted.
    """

    def __init__(
        self,
        *,
        verifier: Verifier,
        origins: frozenset[str],
        limits: Limits,
        handshakes: Buckets,
        metrics: ChatMetrics,
    ) -> None:
        self._verifier = verifier
        self._origins = origins
        self._census = Census(limits)
        self._handshakes = handshakes
        self._metrics = metrics

    def check(self, address: str, health: Health) -> None:
        """Count a handshake of an address.

        Raises:
            TooManyRequests: there were too many.
            Unavailable: this process is stopping.
        """
        wait = self._handshakes.take(address)
        if wait:
            self._metrics.turned_away.labels("rate").inc()
            raise TooManyRequests("Too many sockets are being opened; wait a moment.", retry_after=math.ceil(wait))
        if health.draining:
            raise Unavailable("This process is stopping; connect again.", retry_after=1)

    def admit(self, handshake: Handshake, address: str) -> Claims:
        """Let a socket in: it is counted from now on, until leave().

        Raises:
            Unwelcome: its token is not good, or its web page is not on the list.
            TooManyRequests: the user or the address has too many sockets open.
            Unavailable: this process is full.
        """
        try:
            if not handshake.token:
                raise TokenError("A token is needed.", code="no_token")
            claims = self._verifier.verify(handshake.token)
            if handshake.origin is not None and handshake.origin.lower() not in self._origins:
                raise Unwelcome("Sockets of this web page are not welcome.", code="bad_origin")
            self._census.enter(claims.identity, address)
        except RequestError as error:
            self._metrics.turned_away.labels(error.code).inc()
            if isinstance(error, TokenError):
                raise Unwelcome(error.message, code=error.code) from error
            raise
        return claims

    def leave(self, identity: str, address: str) -> None:
        """Count a socket no more."""
        self._census.leave(identity, address)
