"""Write moments the way the wire has them: UTC, ISO 8601, whole seconds, no zone."""

from __future__ import annotations

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return this moment, aware of its zone."""
    return datetime.now(UTC)


def iso(moment: datetime) -> str:
    """Format a moment for the wire.

    Args:
        moment: aware, or naive and in UTC as the chat database has it (timestamp without time zone).
    """
    utc = moment.astimezone(UTC) if moment.tzinfo else moment
    return utc.replace(microsecond=0, tzinfo=None).isoformat()
