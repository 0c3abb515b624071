"""Say when a person has to look; docs/alerts has a page for each, and docs/operations.md the meaning of each series."""

from __future__ import annotations

from typing import Any

from infra.observability.alert import Alert
from infra.observability.certificate import CERTIFICATE_ALERTS

# Of the label `job`, which the PodMonitors take from the pods' own name.
JOBS = "stamp-chat-.+"


def _slow(series: str, seconds: str, *, by: str = "", labels: str = "") -> str:
    """Compare the 99th percentile of five minutes with a limit."""
    rates = f"sum by ({by}le) (rate({series}_bucket{labels}[5m]))"
    return f"histogram_quantile(0.99, {rates}) > {seconds}"


def _grew(series: str, span: str) -> str:
    """Say whether a counter grew, also where it was not there before: one with labels begins with its first count."""
    return f"increase({series}[{span}]) > 0 or ({series} > 0 unless {series} offset {span})"


_PUBLIC = 'port="public"'
CERTIFICATE_GROUP = "stampchat-certificate"
GROUPS: dict[str, tuple[Alert, ...]] = {
    "stampchat-availability": (
        Alert(
            "ServiceDown",
            " or ".join(
                f'absent(stampchat_build_info{{service="{name}"}})' for name in ("auth", "chat", "notifications")
            ),
            "2m",
            "critical",
            "No pod of {{ $labels.service }} tells that it lives",
            "Prometheus has had no metrics of any pod of {{ $labels.service }} for two minutes.",
        ),
        Alert(
            "Restarting",
            f'changes(process_start_time_seconds{{job=~"{JOBS}"}}[15m]) > 2',
            "1m",
            "critical",
            "A process of {{ $labels.job }} starts again and again",
            "Pod {{ $labels.pod }} has begun anew {{ $value }} times within a quarter of an hour.",
        ),
        Alert(
            "Errors",
            f'sum by (job) (rate(stampchat_http_requests_total{{{_PUBLIC},status=~"5.."}}[5m]))'
            f" / sum by (job) (rate(stampchat_http_requests_total{{{_PUBLIC}}}[5m])) > 0.02",
            "5m",
            "critical",
            "{{ $labels.job }} answers many requests with a fault of its own",
            "{{ $value | humanizePercentage }} of the requests of the last five minutes were answered with a 5xx.",
        ),
        Alert(
            "MigrationMissing",
            'stampchat_migration{kind="needed"} > ignoring (kind) stampchat_migration{kind="applied"}',
            "10m",
            "critical",
            "The database of {{ $labels.job }} lacks a migration",
            "Pod {{ $labels.pod }} needs a migration that its database does not have, and takes no traffic until then.",
        ),
    ),
    "stampchat-latency": (
        Alert(
            "SlowRequests",
            _slow("stampchat_http_request_seconds", "1", by="job, ", labels=f"{{{_PUBLIC}}}"),
            "10m",
            "warning",
            "{{ $labels.job }} answers slowly",
            "One request in a hundred takes longer than {{ $value | humanizeDuration }}.",
        ),
        Alert(
            "SlowMessages",
            _slow("stampchat_shout_seconds", "0.5"),
            "10m",
            "warning",
            "Messages reach the others slowly",
            "One message in a hundred takes longer than {{ $value | humanizeDuration }} from its coming in to its"
            " broadcast.",
        ),
        Alert(
            "SlowJoins",
            _slow("stampchat_join_seconds", "2"),
            "10m",
            "warning",
            "Groups open slowly",
            "One join in a hundred is answered after more than {{ $value | humanizeDuration }}.",
        ),
        Alert(
            "LoopLag",
            _slow("stampchat_event_loop_lag_seconds", "0.1", by="job, pod, "),
            "10m",
            "warning",
            "{{ $labels.job }} is short of processor",
            "The event loop of pod {{ $labels.pod }} is {{ $value | humanizeDuration }} late.",
        ),
    ),
    "stampchat-chat": (
        Alert(
            "SocketsNearLimit",
            "stampchat_sockets / stampchat_sockets_limit > 0.9",
            "5m",
            "warning",
            "A pod of chat has nearly all the sockets that it takes",
            "{{ $value | humanizePercentage }} of the sockets of pod {{ $labels.pod }} are open; once all are, the"
            " next one is refused.",
        ),
        Alert(
            "BusDown",
            "stampchat_bus_up == 0",
            "2m",
            "critical",
            "A pod of chat does not hear the others",
            "The bus of pod {{ $labels.pod }} is down: people on different pods see each other's messages late.",
        ),
        Alert(
            "ReplicasApart",
            "min(stampchat_replicas) < count(stampchat_replicas)",
            "5m",
            "warning",
            "The pods of chat do not all hear each other",
            "A pod of chat hears of {{ $value }} pods, itself included, and there are more.",
        ),
        Alert(
            "BusGaps",
            "sum(rate(stampchat_bus_gaps_total[10m])) > 1",
            "10m",
            "warning",
            "The bus between the pods of chat loses messages",
            "{{ $value | humanize }} times a second a room's messages are read from the database, since the bus had not"
            " brought them in time.",
        ),
        Alert(
            "WriterQueue",
            "stampchat_writer_queue > 1000",
            "5m",
            "warning",
            "Messages wait to be stored",
            "In pod {{ $labels.pod }} {{ $value }} messages and changes wait for the database.",
        ),
        Alert(
            "ChannelsCrashed",
            "increase(stampchat_channels_crashed_total[15m]) > 0",
            "0s",
            "warning",
            "A channel ended by a mistake of ours",
            "Pod {{ $labels.pod }} ended channels by phx_error within the last quarter of an hour; its log says why.",
        ),
    ),
    "stampchat-pushes": (
        Alert(
            "PushOutboxLate",
            "max(stampchat_push_outbox_late_seconds) > 60",
            "5m",
            "warning",
            "Pushes wait in chat's outbox",
            "The oldest push that chat should have handed to notifications is {{ $value | humanizeDuration }} overdue.",
        ),
        Alert(
            "PushQueueOld",
            "max(stampchat_push_oldest_seconds) > 300",
            "10m",
            "warning",
            "Pushes wait for the provider",
            "The push that is due first has waited for {{ $value | humanizeDuration }}.",
        ),
        Alert(
            "PushesRefused",
            _grew("stampchat_push_alerts_total", "15m"),
            "0s",
            "critical",
            "The push provider refuses us: {{ $labels.reason }}",
            "No push goes out until a person mends it; none is lost meanwhile.",
        ),
        Alert(
            "PushDeadLetters",
            "max(delta(stampchat_push_dead_letters[1h])) > 0",
            "5m",
            "warning",
            "Pushes were given up",
            "{{ $value | humanize }} pushes more than an hour ago are dead letters; they can be sent again.",
        ),
    ),
    "stampchat-databases": (
        Alert(
            "DatabasePoolExhausted",
            'sum without (state) (stampchat_database_connections{state="used"}) >= stampchat_database_pool_size',
            "5m",
            "warning",
            "{{ $labels.job }} uses all of its database connections",
            "All {{ $value }} connections of pod {{ $labels.pod }} have been in use for five minutes; requests wait.",
        ),
        Alert(
            "DatabaseWait",
            _slow("stampchat_database_wait_seconds", "0.25", by="job, "),
            "5m",
            "critical",
            "{{ $labels.job }} waits for its database",
            "One time in a hundred it takes more than {{ $value | humanizeDuration }} to get a connection.",
        ),
        Alert(
            "AccountDeletionsPending",
            "max(stampchat_account_deletions_pending) > 0",
            "1h",
            "warning",
            "Accounts are not wholly deleted",
            "{{ $value }} accounts that their owners deleted still have something left somewhere.",
        ),
    ),
    CERTIFICATE_GROUP: CERTIFICATE_ALERTS,
}
PREFIX = "StampChat"


def rule_groups(runbooks: str, *, certificate: bool = True) -> list[dict[str, Any]]:
    """Build the groups of rules, as a rules file of Prometheus and a PrometheusRule alike have them.

    Args:
        runbooks: what stands before the name of an alert's page.
        certificate: whether the stack has one.
    """
    return [
        {"name": name, "rules": [_rule(alert, runbooks) for alert in alerts]}
        for name, alerts in GROUPS.items()
        if certificate or name != CERTIFICATE_GROUP
    ]


def _rule(alert: Alert, runbooks: str) -> dict[str, Any]:
    return {
        "alert": f"{PREFIX}{alert.name}",
        "expr": alert.expr,
        "for": alert.wait,
        "labels": {"severity": alert.severity},
        "annotations": {
            "summary": alert.summary,
            "description": alert.description,
            "runbook_url": f"{runbooks}/{alert.name}.md",
        },
    }
