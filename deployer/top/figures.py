"""Work out what a person wants to know of a pod from its series; docs/operations.md says what each series means."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from deployer.top.scrape import Change, quantile

Figures = dict[str, float | None]

MEDIAN, WORST = 0.5, 0.99
REQUESTS = "stampchat_http_request_seconds"
JOINS = "stampchat_join_seconds"
SHOUTS = "stampchat_shout_seconds"


def _now(name: str, **labels: str) -> Callable[[Change], float | None]:
    return lambda change: change.now.value(name, **labels)


def _rate(name: str, **labels: str) -> Callable[[Change], float | None]:
    return lambda change: change.rate(name, **labels)


def _quantile(name: str, part: float, **labels: str) -> Callable[[Change], float | None]:
    return lambda change: quantile(change.growth(name, **labels), part)


def _failures(change: Change) -> float | None:
    """Answers of the public port that were a fault of ours or of what we stand on."""
    statuses = {dict(labels).get("status", "") for labels in change.now.series.get("stampchat_http_requests_total", {})}
    rates = [
        change.rate("stampchat_http_requests_total", port="public", status=status)
        for status in statuses
        if status.startswith("5")
    ]
    return None if change.before is None else sum(rate or 0.0 for rate in rates)


# What each figure is, by its name in the JSON: what is not a rate or a time is a count.
OF_ALL: Mapping[str, Callable[[Change], float | None]] = {
    "cores": _rate("process_cpu_seconds_total"),
    "memory_bytes": _now("process_resident_memory_bytes"),
    "requests_per_second": _rate("stampchat_http_requests_total", port="public"),
    "failures_per_second": _failures,
    "request_p50_seconds": _quantile(REQUESTS, MEDIAN, port="public"),
    "request_p99_seconds": _quantile(REQUESTS, WORST, port="public"),
    "loop_lag_p99_seconds": _quantile("stampchat_event_loop_lag_seconds", WORST),
    "database_used": _now("stampchat_database_connections", state="used"),
    "database_most": _now("stampchat_database_pool_size"),
    "database_wait_p99_seconds": _quantile("stampchat_database_wait_seconds", WORST),
}
OF_CHAT: Mapping[str, Callable[[Change], float | None]] = {
    "sockets": _now("stampchat_sockets"),
    "sockets_most": _now("stampchat_sockets_limit"),
    "rooms": _now("stampchat_rooms"),
    "joins_per_second": _rate("stampchat_joins_total"),
    "join_p99_seconds": _quantile(JOINS, WORST),
    "messages_per_second": _rate(f"{SHOUTS}_count"),
    "message_p50_seconds": _quantile(SHOUTS, MEDIAN),
    "message_p99_seconds": _quantile(SHOUTS, WORST),
    "deliveries_per_second": _rate("stampchat_deliveries_total"),
    "writer_queue": _now("stampchat_writer_queue"),
    "bus_up": _now("stampchat_bus_up"),
    "replicas": _now("stampchat_replicas"),
    "outbox_rows": _now("stampchat_push_outbox_rows"),
    "outbox_late_seconds": _now("stampchat_push_outbox_late_seconds"),
}
OF_NOTIFICATIONS: Mapping[str, Callable[[Change], float | None]] = {
    "pushes_per_second": _rate("stampchat_pushes_total"),
    "push_p99_seconds": _quantile("stampchat_push_seconds", WORST),
    "push_queue": _now("stampchat_push_queue"),
    "push_oldest_seconds": _now("stampchat_push_oldest_seconds"),
    "push_dead_letters": _now("stampchat_push_dead_letters"),
}
OF_SERVICE = {"chat": OF_CHAT, "notifications": OF_NOTIFICATIONS}


def read_figures(service: str, change: Change) -> Figures:
    """Work out all figures of a pod; those that need two scrapes are missing after the first.

    Args:
        service: auth, chat or notifications.
        change: what it said before and now.
    """
    return {name: read(change) for name, read in {**OF_ALL, **OF_SERVICE.get(service, {})}.items()}
