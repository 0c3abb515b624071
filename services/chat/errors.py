"""Name what is chat's own to refuse; the rest is in services.errors.

ServiceError
├── ProtocolError: a frame that is none; it closes the socket of whoever sent it
├── Refusal: one message of a client that gets an error reply
└── RequestError
    └── Unwelcome: a socket that is not opened, for whom it speaks or where it comes from
"""

from __future__ import annotations

from services.errors import RequestError, ServiceError


class ProtocolError(ServiceError):
    """Say what a frame, or a connection's parameters, must be."""


class Refusal(ServiceError):  # noqa: N818  # the word for what it is
    """Refuse one join or one event; the reason goes into the reply.

    Args:
        reason: a few words for whoever sent it; it must hold no secret.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Unwelcome(RequestError):  # noqa: N818  # likewise
    """Refuse a socket with 403, which is what Phoenix does and what its clients wait for."""
