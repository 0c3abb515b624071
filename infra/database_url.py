"""Judge the address of a hosted database without ever quoting it: it holds a password."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

TLS_MODES = ("require", "verify-ca", "verify-full")
EXAMPLE = "postgresql://USER:PASSWORD@HOST:5432/DATABASE?sslmode=verify-full"
DEFAULT_PORT = 5432
# Postgres's other way to write an address: host=… user=…
_KEY_VALUE = re.compile(r"\s*(host|hostaddr|user|dbname|password|port|sslmode)\s*=")
_STRAY_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True)
class DatabaseAddress:
    """Say where a database is; its password is not in here.

    Attributes:
        host: a name or an address.
        port: usually 5432.
        database: which one of the server's.
        user: who asks.
        sslmode: how much TLS is demanded.
    """

    host: str
    port: int
    database: str
    user: str
    sslmode: str

    def __str__(self) -> str:
        return f"{self.user}@{self.host}:{self.port}/{self.database} (sslmode {self.sslmode or 'not set'})"


def database_url_problems(text: str) -> list[str]:
    """List what is wrong with an address; nothing when it can be used outside the cluster."""
    if problem := _spelling_problem(text):
        return [problem]
    try:
        parts = urlsplit(_with_one_host(text))
        port = parts.port
    except ValueError:
        return [f"is not an address of the form {EXAMPLE}; write @ : / ? # % in a password as %XX"]
    if parts.scheme == "ecto":
        return ["begins with ecto://, which the original's services read; write postgresql://"]
    if parts.scheme not in ("postgres", "postgresql") or not parts.hostname:
        return [f"is not an address of the form {EXAMPLE}"]
    mode = parse_qs(parts.query).get("sslmode", [""])[-1]
    checks = (
        (port == 0, "names the port 0"),
        (not parts.path.strip("/"), "names no database after its host"),
        (parts.path.strip("/").count("/") > 0, "names a database with a slash in it"),
        (not parts.username or not parts.password, "names no user and password"),
        ("@" in parts.netloc.rpartition("@")[0], "holds an @ too many; write @ in a password as %40"),
        (bool(parts.fragment), "ends in a #fragment; write # in a password as %23"),
        (mode not in TLS_MODES, f"does not ask for TLS; end it with ?sslmode= and one of {', '.join(TLS_MODES)}"),
    )
    return [problem for wrong, problem in checks if wrong]


def _with_one_host(text: str) -> str:
    """Keep the first of several hosts, which stand for a primary and its standbys."""
    before, at, after = text.partition("://")
    netloc = after.partition("/")[0]
    credentials, sign, hosts = netloc.rpartition("@")
    return before + at + credentials + sign + hosts.partition(",")[0] + after[len(netloc) :]


def _spelling_problem(text: str) -> str:
    if _KEY_VALUE.match(text):
        return f"is a list of key=value; write it as {EXAMPLE}"
    if any(character.isspace() for character in text):
        return "holds a space or a line break; write a space in a password as %20"
    if _STRAY_PERCENT.search(text):
        return "holds a % that two hexadecimal digits do not follow; write % in a password as %25"
    return ""


def parse_database_url(text: str) -> DatabaseAddress:
    """Return where an address leads, without its password; the first of several hosts.

    Raises:
        ValueError: it is no such address.
    """
    if problems := database_url_problems(text):
        raise ValueError(problems[0])
    parts = urlsplit(_with_one_host(text))
    return DatabaseAddress(
        host=parts.hostname or "",
        port=parts.port or DEFAULT_PORT,
        database=unquote(parts.path.strip("/")),
        user=unquote(parts.username or ""),
        sslmode=parse_qs(parts.query)["sslmode"][-1],
    )
