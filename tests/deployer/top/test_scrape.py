"""What a service exports is read as Prometheus reads it, from the services' own registries."""

from __future__ import annotations

import math

import pytest

from deployer.top.errors import ProbeError
from deployer.top.figures import read_figures
from deployer.top.scrape import Change, Scrape, merge, parse_scrape, quantile
from services.chat.metrics import ChatMetrics
from services.metrics import Metrics

OURS = 'stampchat_build_info{service="chat"} 1\n'


class Exporter:
    """Count as a service does, and be scraped at chosen moments."""

    def __init__(self) -> None:
        self.all = Metrics("chat")
        self.chat = ChatMetrics(self.all.registry)

    def scrape(self, at: float) -> Scrape:
        return parse_scrape(self.all.render().decode(), at)


def test_rates_and_latencies_are_of_what_happened_between_two_scrapes() -> None:
    exporter = Exporter()
    for _ in range(1000):
        exporter.chat.shout_seconds.observe(9)
    exporter.all.observe("public", "/channels", "GET", 200, 0.003)
    before = exporter.scrape(100.0)
    for _ in range(10):
        exporter.chat.shout_seconds.observe(0.003)
    exporter.chat.joins.inc(4)
    exporter.chat.deliveries.inc(200)
    exporter.chat.sockets.set(7)
    exporter.all.observe("public", "/channels", "GET", 503, 0.003)
    exporter.all.observe("internal", "/readyz", "GET", 503, 9)

    found = read_figures("chat", Change(before, exporter.scrape(102.0)))

    assert found["messages_per_second"] == 5
    assert found["joins_per_second"] == 2
    assert found["deliveries_per_second"] == 100
    assert found["sockets"] == 7
    # Between the buckets of 2 and 4 ms; the thousand slow ones were before.
    assert found["message_p50_seconds"] == pytest.approx(0.003)
    assert found["message_p99_seconds"] == pytest.approx(0.00398)
    # Probes and scrapes of the internal port are no traffic.
    assert (found["requests_per_second"], found["failures_per_second"]) == (0.5, 0.5)
    assert found["request_p99_seconds"] == pytest.approx(0.00498, abs=1e-4)


def test_the_first_scrape_has_what_is_and_not_how_fast() -> None:
    exporter = Exporter()
    exporter.chat.sockets.set(3)

    found = read_figures("chat", Change(None, exporter.scrape(1.0)))

    assert found["sockets"] == 3
    assert [name for name, value in found.items() if name.endswith("_per_second") and value is not None] == []
    assert found["message_p99_seconds"] is None


def test_a_process_that_began_anew_counts_from_nothing() -> None:
    """Also where it has counted further than the one before it."""
    first, second = Exporter(), Exporter()
    first.chat.joins.inc(10)
    second.chat.joins.inc(14)
    second.chat.join_seconds.observe(0.003)
    before, now = first.scrape(0.0), second.scrape(2.0)
    now.series["process_start_time_seconds"][frozenset()] += 60  # type: ignore[index]

    change = Change(before, now)

    assert change.rate("stampchat_joins_total") == 7
    assert max(change.growth("stampchat_join_seconds").values()) == 1


@pytest.mark.parametrize(
    ("growth", "part", "expected"),
    [
        ({}, 0.5, None),
        ({0.1: 0.0, math.inf: 0.0}, 0.5, None),
        ({0.1: 10.0, math.inf: 10.0}, 0.5, 0.05),
        ({0.1: 5.0, 0.2: 10.0, math.inf: 10.0}, 0.75, 0.15),
        # Nobody knows more than that it took longer than the last bound.
        ({0.1: 0.0, 0.2: 0.0, math.inf: 4.0}, 0.99, 0.2),
    ],
)
def test_a_quantile_is_what_prometheus_would_say(
    growth: dict[float, float], part: float, expected: float | None
) -> None:
    assert quantile(growth, part) == (None if expected is None else pytest.approx(expected))


def test_histograms_of_several_pods_are_added_before_a_quantile_is_taken() -> None:
    quick, slow = {0.1: 99.0, 1.0: 99.0, math.inf: 99.0}, {0.1: 0.0, 1.0: 1.0, math.inf: 1.0}

    assert quantile(merge([quick, slow]), 0.5) == pytest.approx(0.1 * 50 / 99)
    assert quantile(merge([quick, slow]), 0.995) == pytest.approx(0.55)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<html><body>Welcome</body></html>",
        "stampchat_build_info{service=",
        'stampchat_build_info{service="chat"} many',
        "{}",
        "node_load1 0.5\n",
        "\x00\x01\x02",
        "# TYPE stampchat_build_info gauge\n",
        "stampchat_build_info 1\n",
        'stampchat_build_info{service="\x1b[2J"} 1\n',
        f"{OURS}stampchat_shout_seconds_bucket 3\n",
        f'{OURS}stampchat_shout_seconds_bucket{{le="soon"}} 3\n',
        f'{OURS}stampchat_shout_seconds_bucket{{le="NaN"}} 3\n',
    ],
)
def test_nonsense_is_told_and_not_believed(text: str) -> None:
    with pytest.raises(ProbeError, match=r"^(its metrics are no text|what answers at its port)"):
        parse_scrape(text, 0.0)


def test_answers_without_a_status_count_as_no_fault() -> None:
    scrape = parse_scrape(f'{OURS}stampchat_http_requests_total{{port="public"}} 3\n', 0.0)

    assert read_figures("chat", Change(scrape, scrape))["failures_per_second"] == 0


def test_a_figure_that_is_no_number_is_not_known() -> None:
    """JSON has no infinity."""
    scrape = parse_scrape('stampchat_build_info{service="chat"} 1\nstampchat_sockets NaN\n', 0.0)

    assert scrape.value("stampchat_sockets") is None
