"""Read how the replicas tell each other what they tell their sockets."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from services.settings import Secret, Source, load_database_url

# A channel of Postgres and a token of a NATS subject alike.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,39}")


@dataclass(frozen=True)
class BusSettings:
    """Say how the replicas tell each other.

    Attributes:
        kind: "local" for a process that is alone, "postgres" for the database's LISTEN and NOTIFY, "nats" for NATS.
        url: of NATS, or of the database past its pooler; empty where the database's own address does.
        name: keeps deployments apart that share one server: the channel, or the subject.
    """

    kind: str = "local"
    url: Secret = Secret("")  # noqa: RUF009  # it cannot be changed
    name: str = "stampchat"


def load_bus(source: Source) -> BusSettings:
    """Read the bus's settings."""
    kind = source.choice("BUS", ("local", "postgres", "nats"), "postgres")
    has_url = bool(source.text("BUS_URL_FILE", ""))
    url = Secret("")
    if kind == "nats":
        url = _nats_url(source)
    elif has_url:
        url = load_database_url(source, "BUS_URL_FILE")
    name = source.text("BUS_NAME", "stampchat")
    if not _NAME.fullmatch(name):
        source.problem("BUS_NAME", f"is {name!r}, not a letter and up to 39 letters, digits and underscores")
    return BusSettings(kind, url, name)


def _nats_url(source: Source) -> Secret:
    """Read one or more addresses, parted by commas; they may hold a password, so no problem quotes them."""
    url = source.secret_file("BUS_URL_FILE")
    for part in url.reveal().split(",") if url else ():
        try:
            parts = urlsplit(part.strip())
            fits = parts.scheme in {"nats", "tls"} and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits:
            source.problem("BUS_URL_FILE", "names a file that does not hold nats:// or tls:// addresses")
            break
    return url
