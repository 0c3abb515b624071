"""Name what can go wrong in a service; the edge that catches each decides how it is shown.

ServiceError
├── StartError: the process cannot start, or a command cannot do its work
│   ├── SettingsError: one or more settings are missing or wrong
│   └── MigrationError: the database cannot be brought up to date
└── RequestError: one request cannot be answered as asked (services.web gives each its status)
    ├── Malformed: not JSON, not UTF-8, not a request
    ├── NotAuthenticated: no bearer that we can trust
    │   └── TokenError: a token, and what is wrong with it
    ├── NotFound: it is not there, or not the caller's to see
    ├── NotAllowed: the path exists, for another method
    ├── Conflict: it contradicts what is stored
    ├── TooSlow: the body did not come in time
    ├── TooLarge: the body is over the limit
    ├── Unsupported: the body is in a form that we do not read
    ├── Invalid: JSON of the wrong shape, or a value out of its limits
    ├── TooManyRequests: the caller is over its rate
    ├── BadGateway: the answer of another service is all that was asked for, and there is none
    └── Unavailable: a part that we need is away; the same request may succeed later
        ├── DatabaseUnavailable
        │   └── DatabaseReadOnly: a standby, which lets be read
        └── PeerUnavailable: another of the services
"""

# ruff: noqa: N818  # each is named after the answer that its caller gets
from __future__ import annotations

from collections.abc import Sequence


class ServiceError(Exception):
    """Be the root of everything that the services raise on purpose."""


class StartError(ServiceError):
    """Say why a process cannot start."""


class SettingsError(StartError):
    """Report every problem of the settings at once.

    Args:
        problems: one sentence each, naming the variable.
    """

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__(*problems)
        self.problems = tuple(problems)

    def __str__(self) -> str:
        return "\n".join(("The settings are not usable:", *(f"- {problem}" for problem in self.problems)))


class MigrationError(StartError):
    """Say which migration, or which database, stands in the way."""


class RequestError(ServiceError):
    """Refuse one request.

    Args:
        message: one sentence for whoever sent it; it must hold no secret.
        code: a snake_case word for programs, when the class's own is too wide.
        retry_after: seconds after which the same request may succeed.
    """

    code = "failed"

    def __init__(self, message: str, *, code: str = "", retry_after: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or type(self).code
        self.retry_after = retry_after


class Malformed(RequestError):
    """Refuse what is not a request at all."""

    code = "malformed"


class NotAuthenticated(RequestError):
    """Refuse a caller whom nothing vouches for."""

    code = "not_authenticated"


class TokenError(NotAuthenticated):
    """Refuse a token: its signature, its claims or its age."""

    code = "bad_token"


class NotFound(RequestError):
    """Answer for what is not there, and for what is not the caller's to see."""

    code = "not_found"


class NotAllowed(RequestError):
    """Refuse a method that the path does not have."""

    code = "method_not_allowed"


class Conflict(RequestError):
    """Refuse what contradicts what is stored."""

    code = "conflict"


class TooLarge(RequestError):
    """Refuse a body over the limit."""

    code = "too_large"


class TooSlow(RequestError):
    """Cut a body that comes a byte at a time."""

    code = "too_slow"


class Unsupported(RequestError):
    """Refuse a body that is compressed, or says that it is no JSON."""

    code = "unsupported_media_type"


class Invalid(RequestError):
    """Refuse JSON of the wrong shape or a value out of its limits."""

    code = "invalid"


class TooManyRequests(RequestError):
    """Slow a caller down."""

    code = "too_many_requests"


class BadGateway(RequestError):
    """Say that the service behind us gave no answer to hand on."""

    code = "bad_gateway"


class Unavailable(RequestError):
    """Say that a part is away for now.

    Args:
        message: one sentence for the caller.
        code: a word for programs.
        retry_after: seconds to wait; a client that is told nothing would hammer.
    """

    code = "unavailable"

    def __init__(self, message: str, *, code: str = "", retry_after: int = 2) -> None:
        super().__init__(message, code=code, retry_after=retry_after)


class DatabaseUnavailable(Unavailable):
    """Say that the database does not answer."""

    code = "database_unavailable"


class DatabaseReadOnly(DatabaseUnavailable):
    """Say that the database is a standby: it can be read, and takes no writes."""

    code = "database_read_only"


class PeerUnavailable(Unavailable):
    """Say that another service does not answer, or not as it promised."""

    code = "peer_unavailable"
