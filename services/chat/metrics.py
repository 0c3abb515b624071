"""Count what sockets do, besides what every service counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import perf_counter

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

# From a commit that shares its round to one that waits for a database which is away.
SECONDS = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.125, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class ChatMetrics:
    """Hold the chat's own series.

    Args:
        registry: of the service's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry
        self.sockets = Gauge("stampchat_sockets", "Open sockets.", registry=registry)
        self.joins = Counter("stampchat_joins_total", "Channels joined.", registry=registry)
        self.deliveries = Counter("stampchat_deliveries_total", "Broadcasts handed to a socket.", registry=registry)
        self.dropped = Counter("stampchat_sockets_dropped_total", "Sockets that read too slowly.", registry=registry)
        self.closed = Counter(
            "stampchat_sockets_closed_total", "Sockets that we closed, by reason.", ("reason",), registry=registry
        )
        self.turned_away = Counter(
            "stampchat_handshakes_refused_total", "Handshakes refused, by reason.", ("reason",), registry=registry
        )
        self.refused = Counter("stampchat_events_limited_total", "Events over a rate.", registry=registry)
        self.crashes = Counter("stampchat_channels_crashed_total", "Channels ended by phx_error.", registry=registry)
        self.bus_gaps = Counter(
            "stampchat_bus_gaps_total", "Rooms whose messages the table was asked for.", registry=registry
        )
        self.join_seconds = Histogram(
            "stampchat_join_seconds", "From a join to its reply.", buckets=SECONDS, registry=registry
        )
        self.shout_seconds = Histogram(
            "stampchat_shout_seconds", "From a shout to its broadcast.", buckets=SECONDS, registry=registry
        )

    @contextmanager
    def time_shout(self) -> Iterator[None]:
        """Time one, unless it is refused: that has no broadcast."""
        started = perf_counter()
        yield
        self.shout_seconds.observe(perf_counter() - started)

    def gauge(self, name: str, what: str, read: Callable[[], float]) -> None:
        """Add a gauge that is read when it is scraped, such as the length of a queue."""
        Gauge(f"stampchat_{name}", what, registry=self._registry).set_function(read)
