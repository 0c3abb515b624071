"""Count and time what a service does, for Prometheus."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector, generate_latest

# From a cached answer to a request that waited for a database: the default buckets begin too late for a chat.
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """Hold one service's registry and what every service measures; a service adds its own to `registry`.

    The registry belongs to the opened service and not to the module, so that several live in one test process.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._requests = Counter(
            "stampchat_http_requests_total",
            "Answered requests.",
            ("port", "route", "method", "status"),
            registry=self.registry,
        )
        self._seconds = Histogram(
            "stampchat_http_request_seconds",
            "Time to answer a request.",
            ("port", "route"),
            buckets=SECONDS,
            registry=self.registry,
        )

    def observe(self, port: str, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer; `route` is the pattern, never the path, so that the series stay few."""
        self._requests.labels(port, route, method, str(status)).inc()
        self._seconds.labels(port, route).observe(seconds)

    def render(self) -> bytes:
        """Return the text that Prometheus scrapes."""
        return generate_latest(self.registry)
