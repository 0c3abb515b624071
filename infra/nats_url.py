"""Judge the addresses of NATS without ever quoting one: they may hold a password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from infra.names import namespace_of

SCHEMES = ("nats", "tls")
DEFAULT_PORT = 4222
INSIDE = "nats://USER:PASSWORD@nats.NAMESPACE.svc:4222"
OUTSIDE = "tls://USER:PASSWORD@HOST:4222"
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class NatsAddress:
    """Say where a server is; how one logs in there is not in here.

    Attributes:
        scheme: nats, or tls where TLS is demanded.
        host: a name or an address.
        port: usually 4222.
    """

    scheme: str
    host: str
    port: int

    @property
    def namespace(self) -> str:
        """Where in the cluster it is; nothing outside."""
        return namespace_of(self.host)

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def is_nats_url(text: str) -> bool:
    """Tell whether a text means NATS, be it right or not."""
    return text.partition("://")[0].strip() in SCHEMES


def nats_url_problems(text: str) -> list[str]:
    """List what is wrong with one or more addresses, parted by commas."""
    found = [problem for part in text.split(",") for problem in _problems(part)]
    return list(dict.fromkeys(found))


def parse_nats_url(text: str) -> list[NatsAddress]:
    """Return where one or more addresses lead, without how one logs in there.

    Raises:
        ValueError: they are no such addresses.
    """
    if problems := nats_url_problems(text):
        raise ValueError(problems[0])
    parted = [urlsplit(part.strip()) for part in text.split(",")]
    return [NatsAddress(parts.scheme, parts.hostname or "", parts.port or DEFAULT_PORT) for parts in parted]


def _problems(text: str) -> list[str]:
    unusable = f"is no list of addresses such as {INSIDE} or {OUTSIDE}, parted by commas"
    if any(character.isspace() for character in text.strip()):
        return ["holds a space or a line break; write a space in a password as %20"]
    if _STRAY_PERCENT.search(text):
        return ["holds a % that two hexadecimal digits do not follow; write % in a password as %25"]
    try:
        parts = urlsplit(text.strip())
        port = parts.port
    except ValueError:
        return [f"{unusable}; write @ : / ? # % and commas in a password as %XX"]
    host = parts.hostname or ""
    if parts.scheme not in SCHEMES or not host:
        return [f"{unusable}; write @ : / ? # % and commas in a password as %XX"]
    checks = (
        (port == 0, "names the port 0"),
        ("@" in parts.netloc.rpartition("@")[0], "holds an @ too many; write @ in a password as %40"),
        (
            bool(parts.path.strip("/") or parts.query or parts.fragment),
            "goes on after its host; write / ? # in a password as %2F %3F %23",
        ),
        (
            parts.scheme == "nats" and "." not in host and ":" not in host,
            f"names a host without its namespace; write it as {INSIDE}",
        ),
        (
            parts.scheme == "nats" and ("." in host or ":" in host) and not namespace_of(host),
            f"does not ask for TLS outside the cluster; write it as {OUTSIDE}",
        ),
    )
    return [problem for wrong, problem in checks if wrong]
