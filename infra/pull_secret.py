"""Judge the credentials with which a cluster pulls images: Docker's configuration, as Kubernetes takes it."""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from infra.catalogue import PULL_SECRET
from infra.values import SecretText, Values

if TYPE_CHECKING:
    from infra.config import StackConfig

KEY = "imagePullSecret"
_HELPERS = ("credsStore", "credHelpers")


def read_pull_secret(reader: Values) -> SecretText | None:
    """Read the key; nothing when it is not set."""
    if not reader.has(KEY):
        # For the report of keys that nobody knows.
        reader.text(KEY, "")
        return None
    secret = reader.secret(KEY)
    if not secret.sealed:
        for problem in pull_secret_problems(secret.reveal()):
            reader.problem(KEY, problem)
    return secret


def pull_secret_name(config: StackConfig) -> str:
    """Name the Secret that pods pull with, or nothing where the registry asks for none."""
    hosted = config.hosted
    return PULL_SECRET if hosted is not None and hosted.image_pull_secret is not None else ""


def pull_secret_problems(text: str) -> list[str]:
    """List what is wrong with the credentials; what is said quotes nothing of them.

    https://kubernetes.io/docs/tasks/configure-pod-container/pull-image-private-registry/ has their form.
    """
    try:
        found = json.loads(text)
    except ValueError:
        return ["is not JSON such as `docker login` writes into config.json"]
    entries = found.get("auths") if isinstance(found, dict) else None
    helped = isinstance(found, dict) and any(found.get(name) for name in _HELPERS)
    if helped and not _complete(entries):
        return ["names a helper of your machine, which no cluster can ask; it has to hold the credentials themselves"]
    if not isinstance(entries, dict) or not entries:
        return ["has no credentials under auths"]
    return [f"has no user and password for {host}" for host, entry in entries.items() if not _usable(entry)]


def pull_secret_hosts(text: str) -> tuple[str, ...]:
    """Name the registries that the credentials are for."""
    try:
        return tuple(json.loads(text)["auths"])
    except (ValueError, KeyError, TypeError):
        return ()


def _complete(entries: Any) -> bool:
    return isinstance(entries, dict) and bool(entries) and all(_usable(entry) for entry in entries.values())


def _usable(entry: Any) -> bool:
    if not isinstance(entry, dict):
        return False
    if entry.get("username") and entry.get("password"):
        return True
    try:
        user, colon, password = base64.b64decode(str(entry.get("auth", "")), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return False
    return bool(user and colon and password)
