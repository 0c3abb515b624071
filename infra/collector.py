"""Read where traces go."""

from __future__ import annotations

from urllib.parse import urlsplit

from infra.values import Values

EXAMPLE = "http://otel-collector.monitoring.svc:4318"
KEY = "otlpEndpoint"


def read_collector(reader: Values) -> str:
    """Read the collector's address; nothing where no traces are wanted."""
    if not reader.has(KEY):
        # For the report of keys that nobody knows.
        reader.text(KEY, "")
        return ""
    url = reader.text(KEY, "")
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or parts.username or parts.query or parts.fragment:
        reader.problem(KEY, f"is {_without_password(url)!r}, not an address such as {EXAMPLE}")
    elif "." not in (parts.hostname or ""):
        reader.problem(KEY, f"is {url!r}; name the namespace too, as in {EXAMPLE}")
    return url


def _without_password(url: str) -> str:
    scheme, mark, rest = url.partition("://")
    return f"{scheme}{mark}…@{rest.rpartition('@')[2]}" if "@" in rest else url
