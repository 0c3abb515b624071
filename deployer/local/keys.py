"""Generate the secrets once, and keep them in files that their owner alone reads."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path

from deployer.files import write_private
from deployer.local.layout import SERVICES, Layout


def ensure_keys(layout: Layout) -> None:
    """Write what is missing: the services' secrets, the database's passwords, the public half of the token key.

    Args:
        layout: where they lie.
    """
    layout.secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    for name in ("private_key", "secret_key_base", "credential", "postgres_password"):
        _ensure(layout.secrets / name)
    for service in SERVICES:
        _ensure(password_file(layout, service.name))
    kid, pem = public_key(read_secret(layout.secrets / "private_key"))
    layout.token_keys.mkdir(exist_ok=True)
    for old in layout.token_keys.glob("*.pem"):
        if old.stem != kid:
            old.unlink()
    (layout.token_keys / f"{kid}.pem").write_text(pem, encoding="utf-8")


def password_file(layout: Layout, service: str) -> Path:
    """Return the file with the password of a service's role."""
    return layout.secrets / f"{service}_password"


def database_url_file(layout: Layout, service: str) -> Path:
    """Return the file with the address of a service's database."""
    return layout.secrets / f"{service}_database_url"


def read_secret(path: Path) -> str:
    """Return a secret."""
    return path.read_text(encoding="utf-8").strip()


def public_key(private_key: str) -> tuple[str, str]:
    """Derive the id and the public half of the token key, as the services do.

    The seed is the SHA-256 of the generated string; the id is the first 8 hex digits of the SHA-256 of the raw key.
    """
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    key = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(private_key.encode()).digest()).public_key()
    pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode("ascii")
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:8], pem


def _ensure(path: Path) -> None:
    # An empty file is what a full disk leaves.
    if not path.exists() or not path.read_text(encoding="utf-8").strip():
        write_private(path, secrets.token_hex(32) + "\n")
