"""The columns of `top`: what stands in each, and which of them a narrow terminal does without."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from deployer.top import Row

UNKNOWN = "-"
# Between two columns.
GAP = 2
LEAST_NAME, MOST_NAME = 16, 44


@dataclass(frozen=True)
class Column:
    """One column of figures.

    Attributes:
        title: above it.
        width: of the widest figure.
        place: how early it is given room; 0 comes first.
        read: writes a pod's figure.
    """

    title: str
    width: int
    place: int
    read: Callable[[Row], str]


def duration(seconds: float | None) -> str:
    """Write a latency: 0.4 ms, 12 ms, 1.2 s."""
    if seconds is None:
        return UNKNOWN
    if seconds < 0.01:  # noqa: PLR2004  # tenths matter below ten milliseconds
        return f"{seconds * 1000:.1f} ms"
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def rate(figure: float | None) -> str:
    """Write how many come in a second."""
    if figure is None:
        return UNKNOWN
    return f"{figure:.1f}" if 0 < figure < 10 else f"{figure:.0f}"  # noqa: PLR2004  # tenths matter below ten


def count(figure: float | None) -> str:
    """Write how many there are."""
    return UNKNOWN if figure is None else f"{figure:.0f}"


def _duration(name: str) -> Callable[[Row], str]:
    return lambda row: duration(row.figures.get(name))


def _rate(name: str) -> Callable[[Row], str]:
    return lambda row: rate(row.figures.get(name))


def _count(name: str) -> Callable[[Row], str]:
    return lambda row: count(row.figures.get(name))


def _cores(row: Row) -> str:
    """Write it as Kubernetes does: a thousandth of a processor is 1m."""
    cores = row.figures.get("cores")
    return UNKNOWN if cores is None else f"{cores * 1000:.0f}m"


def _memory(row: Row) -> str:
    used = row.figures.get("memory_bytes")
    return UNKNOWN if used is None else f"{used / 1e6:.0f} MB"


def _database(row: Row) -> str:
    most = row.figures.get("database_most")
    return UNKNOWN if not most else f"{row.figures.get('database_used') or 0:.0f}/{most:.0f}"


def state(row: Row) -> str:
    """Say in a word whether a pod serves."""
    if row.state == "Running":
        return "serves" if row.ready else "NOT READY"
    return row.state


COLUMNS = (
    Column("state", 10, 0, state),
    Column("p99", 7, 1, lambda row: duration(row.slowest_seconds or None)),
    Column("req/s", 6, 3, _rate("requests_per_second")),
    Column("5xx/s", 5, 6, _rate("failures_per_second")),
    Column("req p50", 7, 12, _duration("request_p50_seconds")),
    Column("req p99", 7, 10, _duration("request_p99_seconds")),
    Column("sockets", 7, 2, _count("sockets")),
    Column("joins/s", 7, 5, _rate("joins_per_second")),
    Column("join p99", 8, 11, _duration("join_p99_seconds")),
    Column("msg/s", 6, 4, _rate("messages_per_second")),
    Column("msg p50", 7, 9, _duration("message_p50_seconds")),
    Column("msg p99", 7, 8, _duration("message_p99_seconds")),
    Column("deliv/s", 7, 7, _rate("deliveries_per_second")),
    Column("db", 5, 13, _database),
    Column("db wait", 7, 16, _duration("database_wait_p99_seconds")),
    Column("lag", 7, 17, _duration("loop_lag_p99_seconds")),
    Column("cpu", 6, 14, _cores),
    Column("memory", 7, 15, _memory),
    Column("restarts", 8, 18, lambda row: str(row.restarts)),
)


def choose(width: int) -> tuple[int, Sequence[Column]]:
    """Choose the columns that have room beside the pods' names; return the names' width and the columns.

    Args:
        width: of the terminal.
    """
    chosen: set[Column] = set()
    left = width - LEAST_NAME
    for column in sorted(COLUMNS, key=lambda column: column.place):
        if left < GAP + column.width:
            break
        left -= GAP + column.width
        chosen.add(column)
    return min(MOST_NAME, LEAST_NAME + max(0, left)), [column for column in COLUMNS if column in chosen]
