"""Derive the public half of the token keys, so that every service can verify and only auth can mint."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def public_key(private_key: str) -> tuple[str, str]:
    """Derive a signing key from the generated string, and return its id and its public half as PEM.

    The seed is the SHA-256 of the string; the id is the first 8 hex digits of the SHA-256 of the raw public key.
    The services derive both in the same way.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    seed = hashlib.sha256(private_key.encode()).digest()
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:8], pem


def token_keys(private_keys: Iterable[str]) -> dict[str, str]:
    """Build the files that verifiers mount: one <kid>.pem for each key."""
    return {f"{kid}.pem": pem for kid, pem in map(public_key, private_keys)}
