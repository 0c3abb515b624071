"""Count pushes, besides what every service counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.metrics import SECONDS


class PushMetrics:
    """Hold the notifications service's own series; docs/pushes.md says what each means.

    Args:
        registry: of the service's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pushes = Counter("stampchat_pushes_total", "Pushes by outcome.", ("outcome",), registry=registry)
        self.alerts = Counter("stampchat_push_alerts_total", "What needs a person.", ("reason",), registry=registry)
        self.seconds = Histogram("stampchat_push_seconds", "Time of one try.", buckets=SECONDS, registry=registry)
        self.queue = Gauge("stampchat_push_queue", "Deliveries that wait.", registry=registry)
        self.oldest = Gauge("stampchat_push_oldest_seconds", "Age of the delivery due first.", registry=registry)
        self.dead = Gauge("stampchat_push_dead_letters", "Deliveries given up.", registry=registry)
