"""Name what can go wrong when people log in.

RequestError
├── Malformed
│   └── LoginRefused: the provider's token does not prove who this is
├── NotAuthenticated
│   └── SessionOver: the token is good, but it cannot be renewed
└── Unavailable
    ├── ProviderUnavailable: the provider's keys cannot be had
    └── AccountLeaving: the account is being deleted, and a new one cannot be made before that is done
"""

from __future__ import annotations

from services.errors import Malformed, NotAuthenticated, Unavailable


class LoginRefused(Malformed):
    """Refuse a login; the wire has 400 for it."""

    code = "login_refused"


class SessionOver(NotAuthenticated):
    """Refuse to renew a session that is too old, or whose user is gone."""

    code = "session_over"


class ProviderUnavailable(Unavailable):
    """Say that a login cannot be checked for now."""

    code = "provider_unavailable"


class AccountLeaving(Unavailable):
    """Put a login off until the former account of the same person is deleted."""

    code = "account_being_deleted"
