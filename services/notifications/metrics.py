"""Count pushes, besides what every service counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from services.metrics import SECONDS

# A push that was put off may still be worth its while hours later.
LONG_SECONDS = (*SECONDS, 30.0, 60.0, 300.0, 1800.0, 7200.0, 43_200.0)


class PushMetrics:
    """Hold the notifications service's own series; docs/pushes.md says what each means.

    Args:
        registry: of the service's metrics.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.pushes = Counter("stampchat_pushes_total", "Pushes by outcome.", ("outcome",), registry=registry)
        self.alerts = Counter("stampchat_push_alerts_total", "What needs a person.", ("reason",), registry=registry)
        self.seconds = Histogram("stampchat_push_seconds", "Time of one try.", buckets=SECONDS, registry=registry)
        self.delivery_seconds = Histogram(
            "stampchat_push_delivery_seconds",
            "From taking a push over to the provider's yes.",
            buckets=LONG_SECONDS,
            registry=registry,
        )
        self.queue = Gauge("stampchat_push_queue", "Deliveries that wait.", registry=registry)
        self.oldest = Gauge("stampchat_push_oldest_seconds", "Age of the delivery due first.", registry=registry)
        self.dead = Gauge("stampchat_push_dead_letters", "Deliveries given up.", registry=registry)
