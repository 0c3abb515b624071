"""Fingerprint what pods mount, so that a change rolls them and the fingerprint gives nothing away."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping


def checksum(key: str, values: Mapping[str, str]) -> str:
    """Fingerprint a mapping.

    A bare hash of a hosted database's address could be guessed by whoever may read pods and knows all but a weak
    password; under a generated key that never leaves the engine's state it cannot.

    Args:
        key: the generated key.
        values: what is mounted.
    """
    content = json.dumps(dict(values), sort_keys=True).encode()
    return hmac.new(key.encode(), content, hashlib.sha256).hexdigest()[:32]
