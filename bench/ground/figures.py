"""Hold what was measured, side by side, and print it."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median

from bench.ground.trace import Work

MIB = 1024.0  # KiB


@dataclass(frozen=True)
class Cost:
    """Be one run of a command.

    Attributes:
        seconds: how long it took.
        cpu: seconds of processor that it and all that it started used; None where that is not known.
    """

    seconds: float
    cpu: float | None = None


@dataclass
class Row:
    """Compare one act of ours with the peer's.

    Attributes:
        what: our command.
        peer: the peer's, nothing where it has none.
        ours: our runs.
        theirs: the peer's runs.
        works: what the plugin did in ours, where it was watched.
    """

    what: str
    peer: str
    ours: list[Cost] = field(default_factory=list)
    theirs: list[Cost] = field(default_factory=list)
    works: list[Work] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Our median time by the peer's."""
        if not self.ours or not self.theirs:
            return None
        return median(cost.seconds for cost in self.ours) / median(cost.seconds for cost in self.theirs)


@dataclass
class Comparison:
    """Hold the rows of one deployment.

    Attributes:
        name: what is deployed.
        objects: how many objects in the cluster that is.
        rows: by what was done, in the order in which it was done first.
    """

    name: str
    objects: int = 0
    rows: dict[str, Row] = field(default_factory=dict)

    def row(self, what: str, peer: str = "") -> Row:
        """Return a row, made when there is none yet."""
        return self.rows.setdefault(what, Row(what, peer))


@dataclass(frozen=True)
class StartUp:
    """Be how a process begins.

    Attributes:
        seconds: until it says its port, each time.
        resident: KiB that it holds then, each time.
    """

    seconds: list[float]
    resident: list[int]


@dataclass(frozen=True)
class Report:
    """Be all that was measured.

    Attributes:
        machine: where, and with which versions.
        plugin: how ours begins.
        kubectl: seconds that `kubectl version --client` takes, for scale.
        comparisons: by deployment.
    """

    machine: str
    plugin: StartUp
    kubectl: list[float]
    comparisons: list[Comparison]


def timed(work: Callable[[], object]) -> Cost:
    """Run something that runs processes, and say what it cost."""
    before, began = _children(), time.monotonic()
    work()
    return Cost(time.monotonic() - began, _children() - before)


def _children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def show(report: Report) -> None:
    """Print the report as tables in Markdown."""
    print(
        "| what | objects | ours | seconds | kubectl | seconds | ratio | CPU s, both |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for comparison in report.comparisons:
        for row in comparison.rows.values():
            if row.theirs:
                print(f"| {comparison.name} | {comparison.objects} | {_compared(row)} |")
    print(
        "\n| what | ours | seconds | plugin starts | its calls | something is in it | its CPU s | peak MiB |\n"
        "| --- | --- | --- | --- | --- | --- | --- | --- |"
    )
    for comparison in report.comparisons:
        for row in comparison.rows.values():
            if row.works:
                print(f"| {comparison.name} | {_worked(row)} |")
    plugin = report.plugin
    print(
        f"\nThe plugin says its port after {_spread(plugin.seconds)} s and holds "
        f"{median(plugin.resident) / MIB:.0f} MiB then; `kubectl version --client` takes {_spread(report.kubectl)} s."
    )
    print(f"\n{report.machine}.")


def _compared(row: Row) -> str:
    ours, theirs = ([cost.seconds for cost in costs] for costs in (row.ours, row.theirs))
    used = " / ".join(_processors(costs) for costs in (row.ours, row.theirs))
    ratio = f"{row.ratio:.2f}" if row.ratio is not None else ""
    return f"{row.what} | {_spread(ours)} | {row.peer} | {_spread(theirs)} | {ratio} | {used}"


def _processors(costs: list[Cost]) -> str:
    known = [cost.cpu for cost in costs if cost.cpu is not None]
    return f"{median(known):.1f}" if known else "-"


def _worked(row: Row) -> str:
    def middle(of: Callable[[Work], float]) -> float:
        return median(of(work) for work in row.works)

    seconds = middle(lambda work: work.seconds)
    busy = middle(lambda work: work.busy)
    cells = [
        row.what,
        f"{seconds:.1f}",
        f"{middle(lambda work: work.starting):.2f}",
        f"{middle(lambda work: work.calls):.0f}",
        f"{busy:.2f} ({busy / seconds:.0%})",
        f"{middle(lambda work: work.cpu):.2f}",
        f"{max(work.peak for work in row.works) / MIB:.0f}",
    ]
    return " | ".join(cells)


def _spread(values: list[float]) -> str:
    """Write a median, and from where to where it went when that says something."""
    middle = f"{median(values):.2f}"
    low, high = f"{min(values):.2f}", f"{max(values):.2f}"
    return middle if low == high else f"{middle} ({low} to {high})"
