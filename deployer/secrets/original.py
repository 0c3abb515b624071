"""Take in the Secrets of the original's cluster, as `kubectl get -o json` prints them."""

from __future__ import annotations

import base64
import binascii
import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from deployer.errors import UsageError
from deployer.secrets.catalogue import (
    AUTH_DATABASE,
    CHAT_DATABASE,
    FIREBASE,
    LEGACY,
    LEGACY_UNTIL,
    NOTIFICATIONS_DATABASE,
    Given,
)

MOST_HOURS = 24
# https://github.com/OsamaElHariri/StampChat_Kubernetes, secrets_examples.
DATABASE_PLACES = {
    ("auth-stamp-chat-secret", "database_url"): AUTH_DATABASE,
    ("channels-stamp-chat-secret", "database_url"): CHAT_DATABASE,
    ("notifications-stamp-chat-secret", "database_url"): NOTIFICATIONS_DATABASE,
}
FIREBASE_PLACE = ("firebase-secret", "firebase_service_account")
LEGACY_PLACE = ("auth-stamp-chat-secret", "private_key")
_ADVICE = "`kubectl get secrets -o json auth-stamp-chat-secret …` prints it. Nothing was changed."


@dataclass(frozen=True)
class Original:
    """Hold what was found, ready to be stored.

    Attributes:
        secrets: by what they are here.
        plain: values that are no secrets, by full key.
        taken: for each, where it stood.
    """

    secrets: dict[Given, str] = field(default_factory=dict)
    plain: dict[str, str] = field(default_factory=dict)
    taken: dict[str, str] = field(default_factory=dict)


def read_original(text: str, *, databases: bool, accept_hours: int, now: dt.datetime | None = None) -> Original:
    """Find our secrets among the original's.

    Args:
        text: Secrets, as a list, as documents, or one; YAML or JSON.
        databases: whether the databases are adopted where they are; else their addresses are left alone.
        accept_hours: for how long from now the original's tokens are accepted; 0 lets people log in again.
        now: the present.

    Raises:
        UsageError: it holds none of them, or what is in one of them is not base64.
    """
    found = _read(text)
    places = {FIREBASE_PLACE: FIREBASE, **(DATABASE_PLACES if databases else {})}
    original = Original()
    for place, secret in places.items():
        if place in found:
            value = _decode(place, found[place])
            original.secrets[secret] = convert_url(value) if place in DATABASE_PLACES else value
            original.taken[secret.name] = "/".join(place)
    if accept_hours:
        if LEGACY_PLACE not in found:
            raise UsageError(f"There is no {'/'.join(LEGACY_PLACE)} to accept tokens by.", advice=_ADVICE)
        # As it stands there: a line break at its end is a part of the key.
        original.secrets[LEGACY] = "".join(found[LEGACY_PLACE].split())
        original.taken[LEGACY.name] = "/".join(LEGACY_PLACE)
        until = (now or dt.datetime.now(dt.UTC)) + dt.timedelta(hours=accept_hours)
        original.plain[LEGACY_UNTIL] = until.strftime("%Y-%m-%dT%H:%M:%SZ")
    if not original.secrets:
        raise UsageError("None of the original's Secrets is in what was given.", advice=_ADVICE)
    return original


def convert_url(text: str) -> str:
    """Write an address of knex's or Ecto's as ours read it; where it is silent about TLS, TLS is asked for."""
    scheme, mark, rest = text.strip().partition("://")
    if not mark or scheme not in ("ecto", "postgres", "postgresql"):
        return text.strip()
    place, _, query = rest.partition("?")
    kept = [part for part in query.split("&") if part.startswith(("sslmode=", "sslrootcert="))]
    if not any(part.startswith("sslmode=") for part in kept):
        kept.append("sslmode=verify-full")
    return f"postgresql://{place}?{'&'.join(kept)}"


def _read(text: str) -> dict[tuple[str, str], str]:
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise UsageError("What was given is neither YAML nor JSON.", advice=_ADVICE) from error
    return {
        (str(secret["metadata"]["name"]), str(key)): str(value)
        for secret in _secrets(documents)
        for key, value in (secret.get("data") or {}).items()
    }


def _secrets(documents: list[Any]) -> Iterator[Mapping[str, Any]]:
    for document in documents:
        if isinstance(document, Mapping) and isinstance(document.get("items"), list):
            yield from _secrets(document["items"])
        elif isinstance(document, Mapping) and document.get("kind") == "Secret" and document.get("metadata"):
            yield document


def _decode(place: tuple[str, str], value: str) -> str:
    try:
        return base64.b64decode("".join(value.split()), validate=True).decode().strip()
    except (binascii.Error, UnicodeDecodeError, ValueError) as error:
        raise UsageError(f"{'/'.join(place)} is not the base64 of a text.", advice="Nothing was changed.") from error
