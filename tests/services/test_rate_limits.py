from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.rate_limits import Buckets, Rate, address_key


class Clock:
    """Be a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        """Return the moment."""
        return self.now


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """Refill with the time, up to the burst."""
    now = 100.0
    rate, full_at = Rate(rate=2, burst=3, clock=lambda: now), 0.0

    def take() -> bool:
        nonlocal full_at
        after = rate.take(full_at)
        full_at = after or full_at
        return bool(after)

    taken = [take() for _ in range(4)]
    now += 0.5
    later = [take() for _ in range(2)]
    now += 60
    rested = [take() for _ in range(4)]

    assert taken == [True, True, True, False]
    assert later == [True, False]
    assert rested == [True, True, True, False]


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    """The answer says how long to wait, and waiting so long is enough."""
    clock = Clock()
    buckets = Buckets(2, 3, clock=clock)

    assert [buckets.take("a") for _ in range(3)] == [0.0, 0.0, 0.0]
    assert buckets.take("a") == pytest.approx(0.5)
    assert buckets.take("b") == 0.0
    clock.now += 0.5
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0


def test_who_is_refused_pays_nothing() -> None:
    """A client that hammers gets its next token no later than one that waits."""
    clock = Clock()
    buckets = Buckets(1, 1, clock=clock)
    buckets.take("a")

    assert [buckets.take("a") for _ in range(100)] == [1.0] * 100
    clock.now += 1
    assert buckets.take("a") == 0.0


def test_a_flood_of_keys_takes_a_bounded_memory_that_comes_back() -> None:
    """Whoever was asked longest ago is forgotten; a refused key stays as long as it goes on."""
    clock = Clock()
    buckets = Buckets(1, 1, most=100, clock=clock)
    buckets.take("greedy")
    for number in range(1000):
        buckets.take(str(number))
        assert buckets.take("greedy") > 0
    assert len(buckets) == 100
    clock.now += 10
    for number in range(100):
        buckets.take(f"later{number % 2}")
    assert len(buckets) == 2


@given(rate=st.integers(1, 50), burst=st.integers(1, 50), pauses=st.lists(st.floats(0, 2), max_size=200))
def test_no_pattern_of_calls_gets_more_than_the_burst_and_the_rate(rate: int, burst: int, pauses: list[float]) -> None:
    """Over any time: the burst at first, and the rate after it."""
    clock = Clock()
    buckets = Buckets(rate, burst, clock=clock)
    allowed = 0
    for pause in pauses:
        clock.now += pause
        allowed += buckets.take("a") == 0.0

    assert allowed <= burst + (clock.now - 1000.0) * rate + 1e-6 * len(pauses)


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_a_bucket_that_nothing_fits_is_a_mistake(rate: float, burst: float) -> None:
    """It would refuse everybody for ever."""
    with pytest.raises(ValueError, match="a bucket needs"):
        Buckets(rate, burst)


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:0DB8:1:2::", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("x" * 1000, "x" * 64),
    ],
)
def test_an_ipv6_client_is_its_network(address: str, key: str) -> None:
    """Whoever has one address of a /64 has all of them."""
    assert address_key(address) == key
