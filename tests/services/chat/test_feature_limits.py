"""Read the features' limits."""

from __future__ import annotations

import pytest

from services.chat.feature_limits import FeatureLimits, load_feature_limits
from services.settings import Source


def test_every_limit_has_a_safe_default() -> None:
    """Need no setting at all."""
    source = Source({})

    assert load_feature_limits(source) == FeatureLimits()
    assert source.problems == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EDIT_SECONDS", "-1"),
        ("EDITS_PER_MINUTE", "0"),
        ("READS_PER_MINUTE", "x"),
        ("REPORTS_PER_HOUR", "0"),
        ("MAX_BLOCKS", "0"),
        ("MAX_PRESENCE_SOCKETS", "10001"),
        ("MAX_CHANGES", "0"),
    ],
)
def test_a_limit_out_of_bounds_is_named(name: str, value: str) -> None:
    """Say which one it is."""
    source = Source({f"STAMPCHAT_{name}": value})
    load_feature_limits(source)

    assert [problem.split()[0] for problem in source.problems] == [f"STAMPCHAT_{name}"]
