"""Accept, for a while, the tokens that the system before ours signed, so that moving logs nobody out.

They are signed with HS256 under one secret that its three services shared. Whoever has that secret can be anybody, so
it is taken only where it is set, and only until a moment that is set with it, a day ahead at most. Key and algorithm
are bound to one another (RFC 8725, section 3.1): nothing but HS256 is ever tried with the secret, and the secret never
with anything else, whatever a token's header says.
"""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import jwt
import msgspec

from services.errors import TokenError
from services.settings import Secret, Source
from services.tokens import LEEWAY_SECONDS, Claims

ALGORITHM = "HS256"
# The original's tokens live an hour; one that says more was made by somebody else.
LIFETIME_SECONDS = 3600
MOST_AHEAD_SECONDS = 24 * 3600
# RFC 7518, section 3.2: a shorter one can be found by trying, given any token.
LEAST_BYTES = 32


class _Old(msgspec.Struct):
    """Be what the original put into a token; jsonwebtoken adds sub, iat and exp."""

    id: int
    sub: str
    identity: str
    iat: int
    exp: int
    name: str | None = None
    email: str | None = None
    picture: str | None = None


class LegacyTokens:
    """Verify what the original signed.

    Args:
        secret: the original's shared secret, byte for byte.
        until: seconds since 1970 after which nothing is accepted any more.
        clock: the present, in seconds since 1970.
    """

    def __init__(self, secret: bytes, until: float, *, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._until = until
        self._clock = clock

    def verify(self, token: str) -> Claims:
        """Return whom a token speaks for; its session began when it was minted, since it does not say.

        Raises:
            TokenError: the time is over, or the token is not the original's, or over.
        """
        if self._clock() >= self._until:
            raise TokenError("The token is of a former deployment; log in again.", code="token_expired")
        try:
            payload = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                leeway=LEEWAY_SECONDS,
                options={"require": ["exp", "iat", "sub"]},
            )
            return _claims(payload)
        except jwt.ExpiredSignatureError as error:
            raise TokenError("The token has expired.", code="token_expired") from error
        except (jwt.PyJWTError, msgspec.DecodeError, RecursionError, ValueError) as error:
            raise TokenError("The token is not valid.") from error


def load_legacy_tokens(source: Source, *, clock: Callable[[], float] = time.time) -> LegacyTokens | None:
    """Read the secret and the moment; nothing when neither is set, or when the moment is past."""
    is_set = [bool(source.text(name, "")) for name in ("LEGACY_TOKEN_SECRET_FILE", "LEGACY_UNTIL")]
    if not any(is_set):
        return None
    secret = _load_secret(source)
    until = _load_until(source, clock())
    return LegacyTokens(secret, until, clock=clock) if secret and until > clock() else None


def _load_secret(source: Source) -> bytes:
    """Decode the file: base64, as Kubernetes has it, since the original's secret may end in a line break."""
    name = "LEGACY_TOKEN_SECRET_FILE"
    encoded = source.secret_file(name)
    if not encoded:
        return b""
    if problem := secret_problem(encoded):
        source.problem(name, f"names a file that {problem}")
        return b""
    return base64.b64decode(encoded.reveal())


def secret_problem(encoded: Secret) -> str:
    """Say what is wrong with the original's secret, or nothing; what is said quotes nothing of it."""
    try:
        secret = base64.b64decode(encoded.reveal(), validate=True)
    except (binascii.Error, ValueError):
        return "is not the base64 of a secret"
    if len(secret) < LEAST_BYTES:
        return f"holds {len(secret)} bytes; under {LEAST_BYTES} it can be found by trying, so let people log in again"
    # As an HMAC's secret, what is public of another algorithm's key would let everybody sign.
    if b"-----BEGIN" in secret or secret.startswith((b"ssh-", b"ecdsa-")):
        return "holds a key of another algorithm, not a shared secret"
    return ""


def _load_until(source: Source, now: float) -> float:
    name = "LEGACY_UNTIL"
    text = source.text(name)
    try:
        until = datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError:
        source.problem(name, f"is {text!r}, not a moment such as 2026-11-24T18:00:00Z")
        return 0.0
    if until > now + MOST_AHEAD_SECONDS:
        source.problem(name, f"is {text}, more than {MOST_AHEAD_SECONDS // 3600} hours ahead")
    return until


def _claims(payload: dict[str, Any]) -> Claims:
    old = msgspec.convert(payload, _Old)
    if old.sub != str(old.id):
        raise ValueError("sub and id are of two people")
    if not 0 < old.exp - old.iat <= LIFETIME_SECONDS:
        raise ValueError("it lives longer than the original's do")
    return msgspec.convert({**msgspec.structs.asdict(old), "auth_time": old.iat}, Claims)
