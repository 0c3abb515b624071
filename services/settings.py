"""Read settings from the environment and mounted files, and report every problem at once."""

from __future__ import annotations

import hmac
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from services.errors import SettingsError
from services.port_settings import ConnectionSettings, RateSettings, load_connections, load_rates

PREFIX = "STAMPCHAT_"
LOG_LEVELS = ("debug", "info", "warning", "error")
MAX_PORT = 65535
# A credential or a seed shorter than this was typed, not generated.
MIN_SECRET = 32
# As libpq calls the authorities that the machine trusts.
_SYSTEM = "system"
SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")


class Secret:
    """Hold a value that must not be printed: only reveal() returns it."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """Return the value itself."""
        return self._value

    def matches(self, candidate: str) -> bool:
        """Compare in a time that does not depend on where the two differ."""
        return hmac.compare_digest(self._value.encode(), candidate.encode(errors="surrogateescape"))

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __bool__(self) -> bool:
        return bool(self._value)


class Credential(Secret):
    """Hold what callers show and callees take: while it is rotated there are several, the newest first."""

    __slots__ = ("_others",)

    def __init__(self, lines: str) -> None:
        newest, *others = lines.split() or [""]
        super().__init__(newest)
        self._others = [Secret(other) for other in others]

    def matches(self, candidate: str) -> bool:
        """Tell whether it is one of them; each is compared, whatever the others said."""
        return any([super().matches(candidate), *(other.matches(candidate) for other in self._others)])


class Source:
    """Read one setting after another and remember what is wrong with each.

    A problem yields a stand-in value, so that reading goes on and the report is whole; finish() then raises.

    Args:
        environ: the environment; names are given without their STAMPCHAT_ prefix.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._read: set[str] = set()
        self.problems: list[str] = []

    def text(self, name: str, default: str | None = None) -> str:
        """Return a string; without a default it has to be set and not empty."""
        self._read.add(PREFIX + name)
        value = self._environ.get(PREFIX + name, "").strip()
        if value:
            return value
        if default is None:
            self.problem(name, "is not set")
        return default or ""

    def integer(self, name: str, default: int, *, least: int = 0, most: int) -> int:
        """Return an integer within its limits."""
        raw = self.text(name, str(default))
        try:
            value = int(raw)
        except ValueError:
            self.problem(name, f"is {raw!r}, not an integer")
            return default
        if not least <= value <= most:
            self.problem(name, f"is {value}, not between {least} and {most}")
            return default
        return value

    def choice(self, name: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        """Return one word out of a closed set."""
        value = self.text(name, default)
        if value and value not in allowed:
            self.problem(name, f"is {value!r}, not one of {', '.join(allowed)}")
        return value

    def words(self, name: str, default: str | None = "") -> tuple[str, ...]:
        """Return the parts of a comma list, without empty ones."""
        return tuple(part for part in (word.strip() for word in self.text(name, default).split(",")) if part)

    def url(self, name: str, default: str | None = None, *, schemes: tuple[str, ...] = ("http", "https")) -> str:
        """Return an address without its trailing slash."""
        value = self.text(name, default)
        if not value:
            return ""
        try:
            parts = urlsplit(value)
            fits = parts.scheme in schemes and bool(parts.hostname)
        except ValueError:
            fits = False
        if not fits:
            self.problem(name, f"is {value!r}, not an address with {' or '.join(schemes)}")
        return value.rstrip("/")

    def folder(self, name: str) -> Path:
        """Return the path of a folder that exists."""
        value = self.text(name)
        if value and not Path(value).is_dir():
            self.problem(name, f"names {value}, which is not a folder")
        return Path(value or "/nonexistent")

    def secret_file(self, name: str, *, least: int = 1) -> Secret:
        """Return the content of a mounted file, without its last newline; no secret has a default.

        Args:
            name: the setting that holds the path.
            least: the fewest characters that a generated value has.
        """
        path = self.text(name)
        if not path:
            return Secret("")
        try:
            value = Path(path).read_text(encoding="utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
            self.problem(name, f"names {path}, which cannot be read: {reason}")
            return Secret("")
        if len(value) < least:
            self.problem(name, f"names {path}, which holds {len(value)} characters; at least {least} are needed")
        return Secret(value)

    def problem(self, name: str, what: str) -> None:
        """Remember that a setting is not usable."""
        self.problems.append(f"{PREFIX}{name} {what}.")

    def unread(self) -> tuple[str, ...]:
        """Return our variables that nothing has read: misspelt, or meant for another version.

        They are for a warning. A rollback runs an older image under a newer environment, so refusing would hurt.
        """
        return tuple(sorted(name for name in self._environ if name.startswith(PREFIX) and name not in self._read))

    def finish(self) -> None:
        """Raise when anything was wrong.

        Raises:
            SettingsError: with every problem.
        """
        if self.problems:
            raise SettingsError(self.problems)


@dataclass(frozen=True)
class ServerSettings:
    """Say where a service listens and what it accepts.

    Attributes:
        host: the address to bind.
        public_port: what the gateway reaches; 0 picks a free one.
        internal_port: what only machines reach; 0 picks a free one.
        trusted_hops: how many proxies in front of us append to X-Forwarded-For.
        log_level: one of LOG_LEVELS.
        max_body_bytes: the largest request body, decompressed.
        grace_seconds: how long requests in flight may take after SIGTERM.
        allowed_origins: web pages that may call us from a browser, in lower case.
        connections: how patient the public port is.
        rates: how often the public port may be called.
    """

    host: str = "0.0.0.0"  # noqa: S104  # a pod's port is reached from its node; NetworkPolicy says by whom
    public_port: int = 0
    internal_port: int = 0
    trusted_hops: int = 1
    log_level: str = "info"
    max_body_bytes: int = 64 * 1024
    grace_seconds: int = 20
    allowed_origins: frozenset[str] = frozenset()
    connections: ConnectionSettings = ConnectionSettings()  # noqa: RUF009  # it cannot be changed
    rates: RateSettings = RateSettings()  # noqa: RUF009  # the same


@dataclass(frozen=True)
class DatabaseSettings:
    """Say how a service reaches its database.

    Attributes:
        url: a postgres:// address; TLS is asked for in it (sslmode=verify-full&sslrootcert=…).
        pool_size: the most connections of one replica.
        statement_cache: prepared statements kept a connection; none are kept behind a pooler, which we notice.
        migrate_seconds: how long the migrate command waits for the database, and for locks in it.
        migrate_url: the address for the migrate command, when a role of its own owns the tables; else empty.
    """

    url: Secret
    pool_size: int = 10
    statement_cache: int = 100
    migrate_seconds: int = 120
    migrate_url: Secret = Secret("")  # noqa: RUF009  # it cannot be changed


def load_server(source: Source, *, public_port: int, internal_port: int) -> ServerSettings:
    """Read what every service needs to listen; the two ports are the service's own."""
    usual = ServerSettings()
    return ServerSettings(
        host=source.text("HOST", usual.host),
        public_port=source.integer("PUBLIC_PORT", public_port, most=MAX_PORT),
        internal_port=source.integer("INTERNAL_PORT", internal_port, most=MAX_PORT),
        trusted_hops=source.integer("TRUSTED_HOPS", usual.trusted_hops, most=10),
        log_level=source.choice("LOG_LEVEL", LOG_LEVELS, usual.log_level),
        max_body_bytes=source.integer("MAX_BODY_BYTES", usual.max_body_bytes, least=1024, most=16 * 1024 * 1024),
        grace_seconds=source.integer("GRACE_SECONDS", usual.grace_seconds, most=600),
        allowed_origins=_load_origins(source),
        connections=load_connections(source),
        rates=load_rates(source),
    )


def _load_origins(source: Source) -> frozenset[str]:
    origins = source.words("ALLOWED_ORIGINS")
    for origin in origins:
        parts = urlsplit(origin)
        if parts.scheme not in {"http", "https"} or origin.lower() != f"{parts.scheme}://{parts.netloc.lower()}":
            source.problem("ALLOWED_ORIGINS", f"holds {origin!r}, not an origin such as https://chat.example.org")
    return frozenset(origin.lower() for origin in origins)


def load_database(source: Source) -> DatabaseSettings:
    """Read how to reach the database."""
    usual = DatabaseSettings(url=load_database_url(source, "DATABASE_URL_FILE"))
    separate = bool(source.text("MIGRATE_DATABASE_URL_FILE", ""))
    return DatabaseSettings(
        url=usual.url,
        pool_size=source.integer("DB_POOL_SIZE", usual.pool_size, least=1, most=1000),
        statement_cache=source.integer("DB_STATEMENT_CACHE", usual.statement_cache, most=10_000),
        migrate_seconds=source.integer("MIGRATE_SECONDS", usual.migrate_seconds, least=1, most=3600),
        migrate_url=load_database_url(source, "MIGRATE_DATABASE_URL_FILE") if separate else usual.migrate_url,
    )


def load_database_url(source: Source, name: str) -> Secret:
    """Read an address; it holds a password, so no problem quotes it."""
    url = source.secret_file(name)
    if not url:
        return url
    try:
        parts = urlsplit(url.reveal())
        query = parse_qs(parts.query)
    except ValueError:
        source.problem(name, "names a file whose address cannot be read; write @ : / ? # % in a password as %XX")
        return url
    if parts.scheme not in {"postgres", "postgresql"}:
        source.problem(name, "names a file that does not hold a postgres:// address")
    mode = query.get("sslmode", ["prefer"])[-1]
    if mode not in SSL_MODES:
        source.problem(name, f"asks for sslmode={mode}, not one of {', '.join(SSL_MODES)}")
    for option in ("sslrootcert", "sslcert", "sslkey"):
        path = query.get(option, [""])[-1]
        if path and path != _SYSTEM and not os.access(path, os.R_OK):
            source.problem(name, f"asks for {option}={path}, which cannot be read")
    if mode.startswith("verify-") and query.get("sslrootcert", [_SYSTEM])[-1] == _SYSTEM:
        return _trust_system(source, name, url)
    return url


def _trust_system(source: Source, name: str, url: Secret) -> Secret:
    """Name the machine's file of authorities where an address names none; asyncpg looks into the home folder alone."""
    bundle = ssl.get_default_verify_paths().cafile or ""
    if not bundle:
        source.problem(name, "asks for a certificate to be verified; name the authority's file: sslrootcert=…")
        return url
    place, _, query = url.reveal().partition("?")
    kept = [part for part in query.split("&") if part != f"sslrootcert={_SYSTEM}"]
    return Secret(f"{place}?{'&'.join([*kept, f'sslrootcert={bundle}'])}")


def load_internal_credential(source: Source) -> Secret:
    """Read what one service shows another."""
    return Credential(source.secret_file("INTERNAL_CREDENTIAL_FILE", least=MIN_SECRET).reveal())
