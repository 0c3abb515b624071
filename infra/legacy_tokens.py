"""Judge what a stack says about the tokens of the system before ours; the services judge it again."""

from __future__ import annotations

import base64
import binascii
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from infra.values import SecretText, Values

SECRET_KEY = "legacyTokenSecret"  # noqa: S105  # a name
UNTIL_KEY = "legacyTokensUntil"
MOMENT = "%Y-%m-%dT%H:%M:%SZ"
# Whoever has the old secret can be anybody meanwhile.
MOST_AHEAD_SECONDS = 24 * 3600
# RFC 7518, section 3.2: a shorter one can be found by trying, given any token.
LEAST_BYTES = 32


@dataclass(frozen=True)
class LegacyConfig:
    """Say which old tokens are accepted.

    Attributes:
        secret: what they are signed with, in base64.
        until: when that ends, UTC.
    """

    secret: SecretText
    until: str


def read_legacy_tokens(reader: Values) -> LegacyConfig | None:
    """Read the two keys; nothing when neither is set, or when the moment is past."""
    if not reader.has(SECRET_KEY) and not reader.has(UNTIL_KEY):
        # For the report of keys that nobody knows.
        reader.text(UNTIL_KEY, "")
        return None
    secret, until = reader.secret(SECRET_KEY), reader.text(UNTIL_KEY)
    if not secret.sealed and (problem := legacy_secret_problem(secret.reveal())):
        reader.problem(SECRET_KEY, problem)
    if not until:
        return None
    try:
        ahead = datetime.strptime(until, MOMENT).replace(tzinfo=UTC).timestamp() - time.time()
    except ValueError:
        reader.problem(UNTIL_KEY, f'is {until!r}, not a moment such as "2026-11-24T18:00:00Z"')
        return None
    if ahead > MOST_AHEAD_SECONDS:
        reader.problem(UNTIL_KEY, f"is {until}, more than {MOST_AHEAD_SECONDS // 3600} hours ahead")
    return LegacyConfig(secret, until) if ahead > 0 else None


def legacy_secret_problem(encoded: str) -> str:
    """Say what is wrong with the old secret, or nothing; what is said quotes nothing of it."""
    try:
        secret = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        return "is not the base64 of a secret, as the original's Secret has it"
    if len(secret) < LEAST_BYTES:
        return f"holds {len(secret)} bytes; under {LEAST_BYTES} it can be found by trying, so let people log in again"
    is_key = b"-----BEGIN" in secret or secret.startswith((b"ssh-", b"ecdsa-"))
    return "holds a key of another algorithm, not a shared secret" if is_key else ""
