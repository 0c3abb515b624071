"""Hold sockets and people to their rates, each kind of event by its own."""

from __future__ import annotations

from services.chat.limits import Limits
from services.chat.rates import Pace, Rates

ONCE = 0.000_001


def make(**bursts: int) -> Rates:
    """Make limits that nothing refills within a test."""
    usual = {"events": 100, "user_events": 100, "whispers": 100, "joins": 100, "user_joins": 100, **bursts}
    slow = Limits(**{f"{name}_burst": most for name, most in usual.items()})
    for name in usual:
        object.__setattr__(slow, f"{name}_per_second", ONCE)
    return Rates(slow)


def test_a_socket_and_its_person_have_a_rate_each() -> None:
    """Say which of the two it was; another person has all of theirs."""
    rates = make(events=3, user_events=4)
    first, second, other = (Pace(identity, rates) for identity in ("ada", "ada", "bob"))

    said = [first.flooded() for _ in range(3)]
    over = first.flooded()
    said.append(second.flooded())
    shared = second.flooded()

    assert said == [""] * 4
    assert over == "rate limited: at most 1e-06 events a second"
    assert shared == "rate limited: at most 1e-06 events a second on all sockets of one person"
    assert other.flooded() == ""


def test_whispers_and_joins_cost_more_than_an_event() -> None:
    """Take theirs from buckets of their own, and leave the others alone."""
    rates = make(whispers=1, joins=2, user_joins=3)
    first, second = (Pace("ada", rates) for _ in range(2))

    said = [first.hurried(event) for event in ("whisper", "whisper", "phx_join", "phx_join", "phx_join", "shout")]
    more = [second.hurried(event) for event in ("whisper", "phx_join", "phx_join")]

    assert said == [
        "",
        "rate limited: at most 1e-06 whispers a second",
        "",
        "",
        "rate limited: at most 1e-06 joins a second",
        "",
    ]
    assert more == ["", "", "rate limited: at most 1e-06 joins a second on all sockets of one person"]
