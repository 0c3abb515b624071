"""Hold what was seen of a deployment at one moment, what is failing and slow in it first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from deployer.top.figures import JOINS, REQUESTS, SHOUTS, WORST, Figures
from deployer.top.scrape import Change, merge, quantile

Condition = Literal["failing", "warning", "ok"]
_ORDER: Mapping[Condition, int] = {"failing": 0, "warning": 1, "ok": 2}

# Added up over the pods.
_SUMS = (
    *("requests_per_second", "failures_per_second", "sockets", "joins_per_second", "messages_per_second"),
    *("deliveries_per_second", "pushes_per_second"),
)
# Each pod reads the same table, at its own time.
_SHARED = (
    *("outbox_rows", "outbox_late_seconds", "push_queue", "push_oldest_seconds", "push_dead_letters"),
    *("writer_queue",),
)
_SLOWEST = ("request_p99_seconds", "message_p99_seconds", "join_p99_seconds")


@dataclass(frozen=True)
class Row:
    """Say how one pod is.

    Attributes:
        pod: its name.
        namespace: where it lies.
        service: auth, chat, notifications, gateway, or the workload's own name.
        state: Running, or why not.
        ready: whether it serves.
        restarts: how often its containers were started again.
        condition: failing, warning or ok.
        problems: what is wrong, a few words each.
        checks: what its readiness says, by the check's name; "ok" or what is wrong.
        figures: by name, in seconds, bytes and counts; None is not known.
    """

    pod: str
    namespace: str
    service: str
    state: str
    ready: bool
    restarts: int
    condition: Condition
    problems: tuple[str, ...]
    checks: Mapping[str, str]
    figures: Figures

    @property
    def slowest_seconds(self) -> float:
        """The worst of its latencies."""
        return max((self.figures.get(name) or 0.0 for name in _SLOWEST), default=0.0)


@dataclass(frozen=True)
class Database:
    """Say how a service finds its database.

    Attributes:
        service: whose.
        state: ok, or what the services' readiness says of it; nothing where no pod could be asked.
        used: connections that are lent, of all pods.
        most: connections that all pods may open.
        wait_p99_seconds: how long the slowest of a hundred waited for one; None where nobody did.
    """

    service: str
    state: str
    used: float | None
    most: float | None
    wait_p99_seconds: float | None


@dataclass(frozen=True)
class Certificate:
    """Say how long the certificate lasts.

    Attributes:
        ends: when, as cert-manager writes it; nothing while there is none.
        days: from now; None while there is none.
        problem: what is not as it should be with it, in cert-manager's words.
    """

    ends: str
    days: float | None
    problem: str


@dataclass(frozen=True)
class Picture:
    """Hold one look at a deployment.

    Attributes:
        stack: the stack.
        cluster: the cluster's name.
        time: when, as ISO 8601 has it.
        seconds: what the rates and latencies are about; 0 on the first look, which has none.
        rows: the pods, the failing first and then the slowest.
        missing: the services of which there is no pod at all.
        totals: of the whole deployment, by name.
        databases: of the three services.
        certificate: None where the stack has none.
    """

    stack: str
    cluster: str
    time: str
    seconds: float
    rows: tuple[Row, ...]
    missing: tuple[str, ...]
    totals: Figures
    databases: tuple[Database, ...]
    certificate: Certificate | None

    @property
    def condition(self) -> Condition:
        """The worst of the pods' conditions; what is not there fails."""
        if self.missing:
            return "failing"
        return min((row.condition for row in self.rows), key=_ORDER.__getitem__, default="failing")


def in_order(rows: Sequence[Row]) -> tuple[Row, ...]:
    """Put the failing first, then what is about to fail, then the slowest."""
    return tuple(sorted(rows, key=lambda row: (_ORDER[row.condition], -row.slowest_seconds, row.service, row.pod)))


def add_up(rows: Sequence[Row], changes: Mapping[str, Change]) -> Figures:
    """Work out the figures of the whole deployment.

    Args:
        rows: its pods.
        changes: what each of them said, by its name.
    """
    totals: Figures = {}
    for name in _SUMS:
        known = [figure for row in rows if (figure := row.figures.get(name)) is not None]
        totals[name] = sum(known) if known else None
    for name in _SHARED:
        totals[name] = max((figure for row in rows if (figure := row.figures.get(name)) is not None), default=None)
    for name, series, labels in (
        ("request", REQUESTS, {"port": "public"}),
        ("message", SHOUTS, {}),
        ("join", JOINS, {}),
    ):
        growth = merge(change.growth(series, **labels) for change in changes.values())
        totals[f"{name}_p50_seconds"] = quantile(growth, 0.5)
        totals[f"{name}_p99_seconds"] = quantile(growth, WORST)
    return totals


def read_databases(rows: Sequence[Row], changes: Mapping[str, Change]) -> tuple[Database, ...]:
    """Ask the pods' own words about their databases; the worst of them counts."""
    found = []
    for service in sorted({row.service for row in rows if row.pod in changes}):
        own = [row for row in rows if row.service == service and row.pod in changes]
        words = [row.checks["database"] for row in own if "database" in row.checks]
        growth = merge(changes[row.pod].growth("stampchat_database_wait_seconds") for row in own)
        found.append(
            Database(
                service,
                next((word for word in words if word != "ok"), "ok" if words else ""),
                sum(row.figures.get("database_used") or 0.0 for row in own),
                sum(row.figures.get("database_most") or 0.0 for row in own),
                quantile(growth, WORST),
            )
        )
    return tuple(found)
