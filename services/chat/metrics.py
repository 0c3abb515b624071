"""Count what sockets do, besides what every service counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge


class ChatMetrics:
    """Hold the chat's own series.

    Args:
        registry: of the service's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.sockets = Gauge("stampchat_sockets", "Open sockets.", registry=registry)
        self.joins = Counter("stampchat_joins_total", "Channels joined.", registry=registry)
        self.deliveries = Counter("stampchat_deliveries_total", "Broadcasts handed to a socket.", registry=registry)
        self.dropped = Counter("stampchat_sockets_dropped_total", "Sockets that read too slowly.", registry=registry)
        self.pushes_dropped = Counter("stampchat_pushes_dropped_total", "Messages not pushed.", registry=registry)
