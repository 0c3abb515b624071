"""Read by what the chat's pods tell each other what they tell their sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from infra.database_url import EXAMPLE as DATABASE
from infra.database_url import database_url_problems, parse_database_url
from infra.hosted import check_database_url
from infra.nats_url import DEFAULT_PORT, INSIDE, NatsAddress, is_nats_url, nats_url_problems, parse_nats_url
from infra.values import SecretText, Values

BusKind = Literal["local", "postgres", "nats"]

KEY = "bus"
# Beside the object and not in it: the engine would take a whole object for secret that holds one secret.
URL_KEY = "busUrl"
DEFAULT_NAME = "stampchat"
# A channel of Postgres and a token of a NATS subject alike.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True)
class BusConfig:
    """Say how the chat's pods tell each other.

    Attributes:
        kind: local for a single pod, postgres for the chat's own database, or nats.
        name: keeps deployments apart that share a database or a NATS.
        url: of NATS, or of the chat's database past its pooler; None where the database's own address does.
    """

    kind: BusKind = "postgres"
    name: str = DEFAULT_NAME
    url: SecretText | None = None


def read_bus(reader: Values, *, one_pod: bool, authority: str | None) -> BusConfig:
    """Read the bus; what is wrong is remembered by the reader.

    Args:
        reader: of the stack's config.
        one_pod: whether the chat never has a second pod.
        authority: who signed the hosted databases' certificates, or nothing for a public one; None where the databases
            are the stack's own.
    """
    nested = reader.nested(KEY)
    kind: BusKind = nested.choice("kind", ("local", "postgres", "nats"), "postgres")
    if kind == "local" and not one_pod:
        nested.problem("kind", "is local, by which one pod tells no other; name postgres or nats")
    name = nested.text("name", DEFAULT_NAME)
    if not _NAME.fullmatch(name):
        nested.problem("name", f"is {name!r}, not a letter and up to 39 letters, digits and underscores")
    if nested.has("url"):
        nested.secret("url")
        nested.problem("url", f"is a secret; `./stampchat secrets set bus-url` puts it into {URL_KEY}")
    nested.reject_unread()
    return BusConfig(kind, name, _read_url(reader, kind, authority))


def bus_url_problems(text: str) -> list[str]:
    """List what is wrong with an address of either kind; what is said quotes nothing of it."""
    if is_nats_url(text):
        return nats_url_problems(text)
    if text.partition("://")[0] in ("http", "https", "ws", "wss"):
        return [f"is no address such as {INSIDE} or {DATABASE}"]
    return database_url_problems(text)


def describe_bus_url(text: str) -> str:
    """Say where a good address leads, without how one logs in there."""
    return ", ".join(map(str, parse_nats_url(text))) if is_nats_url(text) else str(parse_database_url(text))


def nats_places(config: BusConfig) -> list[NatsAddress]:
    """Return where the servers of NATS are, as far as that is known."""
    if config.kind != "nats" or config.url is None:
        return []
    try:
        return parse_nats_url(config.url.reveal())
    except ValueError:
        return [NatsAddress("tls", "", DEFAULT_PORT)]


def _read_url(reader: Values, kind: BusKind, authority: str | None) -> SecretText | None:
    if not reader.has(URL_KEY):
        # For the report of keys that nobody knows.
        reader.text(URL_KEY, "")
        if kind == "nats":
            reader.problem(URL_KEY, f"is not set; bus.kind nats asks for an address such as {INSIDE}")
        return None
    secret = reader.secret(URL_KEY)
    if kind == "local" or (kind == "postgres" and authority is None):
        reader.problem(URL_KEY, "is for bus.kind nats, or for a hosted database past its pooler; leave it away")
        return None
    if secret.sealed:
        return secret
    if (kind == "nats") != is_nats_url(secret.reveal()):
        other = "an address of NATS" if kind == "postgres" else "no address of NATS"
        reader.problem(URL_KEY, f"is {other}, and bus.kind is {kind}")
        return secret
    if kind == "postgres":
        return check_database_url(reader, URL_KEY, secret, authority or "")
    for problem in nats_url_problems(secret.reveal()):
        reader.problem(URL_KEY, problem)
    return secret
