"""Count and time what a service does, for Prometheus; docs/operations.md says what each series means.

No label holds an identity, a topic, a token or a path: every set of values is small and known beforehand.
"""

from __future__ import annotations

import asyncio
import hashlib
import platform
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

# From a cached answer to a request that waited for a database: the default buckets begin too late for a chat.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
# How often the event loop is asked how late it is.
LAG_SECONDS = 0.25


class Metrics:
    """Hold one service's registry and what every service measures; a service adds its own to `registry`.

    The registry belongs to the opened service and not to the module, so that several live in one test process.

    Args:
        service: auth, chat or notifications.
    """

    def __init__(self, service: str = "") -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        labels = ("port", "route", "method", "status")
        self._requests = Counter("stampchat_http_requests_total", "Answered requests.", labels, registry=registry)
        self._seconds = Histogram(
            "stampchat_http_request_seconds",
            "Time to answer a request.",
            ("port", "route"),
            buckets=SECONDS,
            registry=registry,
        )
        # The library looks for a series by text, under a lock.
        self._answers: dict[tuple[str, str, str, int], tuple[Counter, Histogram]] = {}
        self._limited = Counter(
            "stampchat_rate_limited_total", "Requests refused by a rate limit.", ("limit",), registry=registry
        )
        self._connections = Gauge(
            "stampchat_connections", "Open HTTP connections of the public port.", registry=registry
        )
        self._cut = Counter(
            "stampchat_connections_cut_total", "Connections cut before a request.", ("reason",), registry=registry
        )
        self._lag = Histogram(
            "stampchat_event_loop_lag_seconds", "How late the event loop is.", buckets=SECONDS, registry=registry
        )
        build = Gauge("stampchat_build_info", "What runs here.", ("service", "sources", "python"), registry=registry)
        build.labels(service, hash_sources(Path(__file__).parent), platform.python_version()).set(1)
        self._add_database(registry)

    def _add_database(self, registry: CollectorRegistry) -> None:
        self.database_connections = Gauge(
            "stampchat_database_connections", "Connections to the database.", ("state",), registry=registry
        )
        self.database_pool_size = Gauge(
            "stampchat_database_pool_size", "Connections that the pool may open.", registry=registry
        )
        self.database_wait = Histogram(
            "stampchat_database_wait_seconds", "Time to get a connection.", buckets=SECONDS, registry=registry
        )
        self.migration = Gauge("stampchat_migration", "Number of the last migration.", ("kind",), registry=registry)

    def observe(self, port: str, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer; `route` is the pattern, never the path, so that the series stay few."""
        key = port, route, method, status
        series = self._answers.get(key)
        if series is None:
            series = self._requests.labels(port, route, method, str(status)), self._seconds.labels(port, route)
            self._answers[key] = series
        series[0].inc()
        series[1].observe(seconds)

    def count_limited(self, limit: str) -> None:
        """Count a request that a rate limit refused."""
        self._limited.labels(limit).inc()

    def count_connections(self, count: int) -> None:
        """Say how many connections are open."""
        self._connections.set(count)

    def count_cut(self, reason: str) -> None:
        """Count a connection that was cut."""
        self._cut.labels(reason).inc()

    async def watch_loop(self) -> None:
        """Measure for ever how late the event loop is."""
        clock = asyncio.get_running_loop().time
        while True:
            due = clock() + LAG_SECONDS
            await asyncio.sleep(LAG_SECONDS)
            self._lag.observe(max(0.0, clock() - due))

    def render(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)


def hash_sources(folder: Path) -> str:
    """Return what tells one version of the services from another: the beginning of a hash of all their files."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix in {".py", ".sql"}:
            digest.update(str(path.relative_to(folder)).encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
