"""Read what a service says of itself in Prometheus's text format, and what changed since the last time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from deployer.top.errors import ProbeError

# In every service's metrics; a text without it comes from something else.
SIGN = "stampchat_build_info"
SERVICES = ("auth", "chat", "notifications")
STARTED = "process_start_time_seconds"

_NO_TEXT = "its metrics are no text that Prometheus could read"

Labels = frozenset[tuple[str, str]]
Growth = dict[float, float]


@dataclass(frozen=True)
class Scrape:
    """Hold the series of one process at one moment.

    Attributes:
        at: the moment, in seconds of a clock that never goes back.
        series: values by the labels that they have, by the name of the series.
    """

    at: float
    series: Mapping[str, Mapping[Labels, float]]

    @property
    def service(self) -> str:
        """Whose they are: auth, chat or notifications."""
        return next((value for labels in self.series[SIGN] for name, value in labels if name == "service"), "")

    def value(self, name: str, **labels: str) -> float | None:
        """Add up a series where it has these labels; nothing where there is none."""
        wanted = set(labels.items())
        found = [value for held, value in self.series.get(name, {}).items() if wanted <= held]
        return sum(found) if found else None

    def buckets(self, name: str, **labels: str) -> Growth:
        """Return a histogram's buckets by their upper bounds, added up over all labels but these."""
        wanted = set(labels.items())
        found: Growth = {}
        for held, value in self.series.get(f"{name}_bucket", {}).items():
            if wanted <= held:
                bound = float(dict(held)["le"])
                found[bound] = found.get(bound, 0.0) + value
        return found


def parse_scrape(text: str, at: float) -> Scrape:
    """Read what a service's /metrics answered.

    Args:
        text: the answer.
        at: when it came.

    Raises:
        ProbeError: it is something else.
    """
    from prometheus_client.parser import text_string_to_metric_families

    series: dict[str, dict[Labels, float]] = {}
    try:
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                value = float(sample.value)
                if sample.name.endswith("_bucket") and math.isnan(float(sample.labels["le"])):
                    raise ProbeError(_NO_TEXT)
                if math.isfinite(value):
                    series.setdefault(sample.name, {})[frozenset(sample.labels.items())] = value
    # The parser promises no kind of error for what it does not understand.
    except (ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise ProbeError(_NO_TEXT) from error
    found = Scrape(at, series)
    if SIGN not in series or found.service not in SERVICES:
        raise ProbeError("what answers at its port of metrics is none of our services")
    return found


@dataclass(frozen=True)
class Change:
    """Hold two scrapes of one pod, the later one last; the first is missing when the pod is new to us.

    Attributes:
        before: the first.
        now: the later one.
    """

    before: Scrape | None
    now: Scrape

    @property
    def seconds(self) -> float:
        """The time between them."""
        return 0.0 if self.before is None else self.now.at - self.before.at

    def rate(self, name: str, **labels: str) -> float | None:
        """Return how fast a counter grew, in a second; nothing before it was read twice."""
        after = self.now.value(name, **labels)
        if self.seconds <= 0 or self.before is None:
            return None
        if after is None:
            # A counter whose labels nothing has set yet is one that stands at 0.
            return 0.0
        first = self.before.value(name, **labels) or 0.0
        return (after if self._restarted or after < first else after - first) / self.seconds

    def growth(self, name: str, **labels: str) -> Growth:
        """Return by how much each bucket of a histogram grew; nothing before it was read twice."""
        if self.before is None:
            return {}
        first = {} if self._restarted else self.before.buckets(name, **labels)
        now = self.now.buckets(name, **labels)
        return {bound: max(0.0, value - first.get(bound, 0.0)) for bound, value in now.items()}

    @property
    def _restarted(self) -> bool:
        """Whether the process was started anew in between, so that its counters began at 0."""
        return self.before is not None and self.before.value(STARTED) != self.now.value(STARTED)


def merge(growths: Iterable[Growth]) -> Growth:
    """Add up histograms that have the same buckets."""
    merged: Growth = {}
    for growth in growths:
        for bound, value in growth.items():
            merged[bound] = merged.get(bound, 0.0) + value
    return merged


def quantile(growth: Growth, part: float) -> float | None:
    """Estimate a quantile as Prometheus's `histogram_quantile` does; nothing where nothing was measured.

    https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile

    Args:
        growth: measurements of at most a bound, by the bound.
        part: 0.99 for the 99th percentile.
    """
    bounds = sorted(growth)
    if not bounds or growth[bounds[-1]] <= 0:
        return None
    rank = part * growth[bounds[-1]]
    below, counted = 0.0, 0.0
    for bound in bounds:
        if growth[bound] >= rank:
            # Nobody knows how much longer than the last bound it took.
            return (
                below if math.isinf(bound) else below + (bound - below) * (rank - counted) / (growth[bound] - counted)
            )
        below, counted = bound, growth[bound]
    return below
