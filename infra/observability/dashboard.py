"""Build the Grafana dashboard with Grafana's own SDK: what people notice first, then what it comes from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from string import ascii_uppercase

from grafana_foundation_sdk.builders import dashboard as dashboards
from grafana_foundation_sdk.builders import prometheus, timeseries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import DataSourceRef

from infra.observability.certificate import ENDS, RENEWAL, moment

UID = "stampchat"
# Chosen in Grafana, by whoever looks: no stack knows its name.
SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
HEIGHT, SPAN = 8, 8


@dataclass(frozen=True)
class Panel:
    """Be one graph.

    Attributes:
        title: above it.
        unit: as Grafana calls it.
        tells: what a person sees in it.
        queries: each with the legend of its lines.
    """

    title: str
    unit: str
    tells: str
    queries: tuple[tuple[str, str], ...]


def _rate(series: str, by: str = "", labels: str = "") -> str:
    grouped = f"sum by ({by}) " if by else "sum"
    return f"{grouped}(rate({series}{labels}[$__rate_interval]))"


def _quantiles(series: str, by: str = "", labels: str = "") -> tuple[tuple[str, str], ...]:
    legend = "".join(f"{{{{{label}}}}} " for label in by.split(", ") if label)
    inner = f"sum by ({f'{by}, ' if by else ''}le) (rate({series}_bucket{labels}[$__rate_interval]))"
    return tuple(
        (f"histogram_quantile({part}, {inner})", f"{legend}{name}") for part, name in ((0.5, "p50"), (0.99, "p99"))
    )


_PUBLIC = '{port="public"}'
ROWS: dict[str, tuple[Panel, ...]] = {
    "What people notice": (
        Panel("Sockets", "short", "People who are connected.", (("sum by (pod) (stampchat_sockets)", "{{pod}}"),)),
        Panel(
            "Messages and deliveries",
            "ops",
            "Messages stored and told, and broadcasts handed to a socket.",
            (
                (_rate("stampchat_shout_seconds_count"), "messages"),
                (_rate("stampchat_deliveries_total"), "deliveries"),
                (_rate("stampchat_joins_total"), "joins"),
            ),
        ),
        Panel(
            "From a message to its broadcast",
            "s",
            "The commit between them is in it.",
            _quantiles("stampchat_shout_seconds"),
        ),
        Panel("From a join to its reply", "s", "How long a group takes to open.", _quantiles("stampchat_join_seconds")),
        Panel(
            "Requests",
            "reqps",
            "Of the public ports.",
            ((_rate("stampchat_http_requests_total", "job", _PUBLIC), "{{job}}"),),
        ),
        Panel(
            "Time to answer a request",
            "s",
            "Of the public ports; a socket counts as no time.",
            _quantiles("stampchat_http_request_seconds", "job", _PUBLIC),
        ),
        Panel(
            "Answers that are a fault of ours",
            "reqps",
            "Status 500 and above: 503 comes from what a service stands on, 500 is a mistake.",
            (
                (
                    _rate("stampchat_http_requests_total", "job, status", '{port="public",status=~"5.."}'),
                    "{{job}} {{status}}",
                ),
            ),
        ),
        Panel(
            "Refused by a limit",
            "reqps",
            "Requests, events and handshakes over a rate or a number.",
            (
                (_rate("stampchat_rate_limited_total", "limit"), "requests: {{limit}}"),
                (_rate("stampchat_events_limited_total"), "events"),
                (_rate("stampchat_handshakes_refused_total", "reason"), "handshakes: {{reason}}"),
            ),
        ),
        Panel(
            "Sockets that we ended",
            "ops",
            "Who read too slowly, whom we closed, and channels that a mistake of ours ended.",
            (
                (_rate("stampchat_sockets_dropped_total"), "too slow"),
                (_rate("stampchat_sockets_closed_total", "reason"), "closed: {{reason}}"),
                (_rate("stampchat_channels_crashed_total"), "crashed"),
            ),
        ),
    ),
    "Pushes": (
        Panel(
            "Waiting",
            "short",
            "In chat's outbox, at notifications, and given up.",
            (
                ("max(stampchat_push_outbox_rows)", "outbox"),
                ("max(stampchat_push_queue)", "queue"),
                ("max(stampchat_push_dead_letters)", "dead letters"),
            ),
        ),
        Panel(
            "How late",
            "s",
            "The oldest push of the outbox and of the queue.",
            (
                ("max(stampchat_push_outbox_late_seconds)", "outbox"),
                ("max(stampchat_push_oldest_seconds)", "queue"),
            ),
        ),
        Panel(
            "What becomes of them",
            "ops",
            "Pushes by outcome; docs/pushes.md says what each means.",
            ((_rate("stampchat_pushes_total", "outcome"), "{{outcome}}"),),
        ),
        Panel("Time of one try", "s", "At the provider.", _quantiles("stampchat_push_seconds")),
        Panel(
            "From taking over to the provider's yes",
            "s",
            "All tries and waits included.",
            _quantiles("stampchat_push_delivery_seconds"),
        ),
        Panel(
            "Handed over",
            "ops",
            "Messages whose pushes notifications took, and rounds that failed.",
            (
                (_rate("stampchat_pushes_handed_over_total"), "taken"),
                (_rate("stampchat_push_handover_failures_total"), "failed"),
            ),
        ),
    ),
    "What it comes from": (
        Panel(
            "Database connections in use",
            "percentunit",
            "Of those that a pod may open; at 100 % requests wait.",
            (
                (
                    'sum without (state) (stampchat_database_connections{state="used"}) / stampchat_database_pool_size',
                    "{{pod}}",
                ),
            ),
        ),
        Panel(
            "Waiting for a database connection",
            "s",
            "Long waits are a pool that is too small, or a database that is slow.",
            _quantiles("stampchat_database_wait_seconds", "job"),
        ),
        Panel("Waiting to be stored", "short", "Messages.", (("stampchat_writer_queue", "{{pod}}"),)),
        Panel(
            "Event loop lag",
            "s",
            "Over 0.1 s a process is short of processor.",
            _quantiles("stampchat_event_loop_lag_seconds", "pod"),
        ),
        Panel(
            "Processor",
            "short",
            "Processors that a process uses.",
            (('rate(process_cpu_seconds_total{job=~"stamp-chat-.+"}[$__rate_interval])', "{{pod}}"),),
        ),
        Panel(
            "Memory",
            "bytes",
            "Resident.",
            (('process_resident_memory_bytes{job=~"stamp-chat-.+"}', "{{pod}}"),),
        ),
        Panel(
            "Replicas that hear each other",
            "short",
            "Fewer than there are says that some do not; the bus is 1 while it is up.",
            (("stampchat_replicas", "{{pod}} hears of"), ("stampchat_bus_up", "{{pod}} bus")),
        ),
        Panel(
            "Rooms read again",
            "ops",
            "What the bus had not brought in time.",
            ((_rate("stampchat_bus_gaps_total", "pod"), "{{pod}}"),),
        ),
        Panel(
            "Versions",
            "short",
            "Pods of each version: during an update there are two.",
            (("count by (service, sources) (stampchat_build_info)", "{{service}} {{sources}}"),),
        ),
        Panel(
            "Days of the certificate",
            # Of Grafana's unit of days 64 are 9 weeks.
            "short",
            "Until it is renewed, and until it ends; a stack without TLS has none.",
            (
                (f"({moment(RENEWAL)} - time()) / 86400", "until its renewal"),
                (f"({moment(ENDS)} - time()) / 86400", "until its end"),
            ),
        ),
    ),
}


def expressions() -> Iterator[str]:
    """Yield each query of each panel."""
    for panels in ROWS.values():
        for panel in panels:
            for expression, _ in panel.queries:
                yield expression


def build_dashboard() -> str:
    """Build the dashboard; return its JSON, the same every time."""
    built = (
        dashboards.Dashboard("StampChat")
        .uid(UID)
        .tags(["stampchat"])
        .refresh("30s")
        .time("now-1h", "now")
        .timezone("browser")
        .readonly()
        .with_variable(dashboards.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )
    number = 0
    for title, panels in ROWS.items():
        built.with_row(dashboards.Row(title))
        for panel in panels:
            number += 1
            built.with_panel(_graph(panel, number))
    return JSONEncoder(sort_keys=True, indent=1).encode(built.build())


def _graph(panel: Panel, number: int) -> timeseries.Panel:
    graph = (
        timeseries.Panel()
        .id(number)
        .title(panel.title)
        .description(panel.tells)
        .unit(panel.unit)
        .min(0)
        .height(HEIGHT)
        .span(SPAN)
        .datasource(SOURCE)
    )
    for letter, (expression, legend) in zip(ascii_uppercase, panel.queries, strict=False):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).ref_id(letter).range()
        graph.with_target(query.datasource(SOURCE))
    return graph
