from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from services.clock import iso, utc_now


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 23, 10, 15, 0, 999_999, tzinfo=UTC),
        datetime(2026, 11, 23, 12, 15, tzinfo=timezone(timedelta(hours=2))),
        datetime(2026, 11, 23, 10, 15),  # noqa: DTZ001  # as a column without time zone gives it
    ],
)
def test_moments_are_utc_whole_seconds_without_a_zone(moment: datetime) -> None:
    """Aware or naive, it is the same moment on the wire."""
    assert iso(moment) == "2026-11-23T10:15:00"


def test_now_knows_its_zone() -> None:
    """A naive present would be local time."""
    assert utc_now().tzinfo is UTC
