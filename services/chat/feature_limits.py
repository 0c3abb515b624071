"""Hold what users may do at most with what goes beyond the original; every limit is a setting with a safe default."""

from __future__ import annotations

from dataclasses import dataclass

from services.settings import Source

DAY = 24 * 3600


@dataclass(frozen=True)
class FeatureLimits:
    """Say how much is too much; a rate is one person's.

    Attributes:
        edit_seconds: how long after it was said a message may be edited; 0 for ever.
        edits_per_minute: edits and deletions.
        reads_per_minute: moves of the marker.
        blocks_per_minute: blocks made and lifted.
        blocks: people whom one person may block.
        reports_per_hour: reports.
        owner_acts_per_minute: removals, renamings, renewals.
        reason_characters: of a report's reason.
        presence_sockets: joined to one room, above which it shows nobody.
        changes: edits and deletions that a client is told of when it comes back.
    """

    edit_seconds: int = 0
    edits_per_minute: int = 60
    reads_per_minute: int = 600
    blocks_per_minute: int = 30
    blocks: int = 1000
    reports_per_hour: int = 30
    owner_acts_per_minute: int = 30
    reason_characters: int = 1000
    presence_sockets: int = 500
    changes: int = 200


def load_feature_limits(source: Source) -> FeatureLimits:
    """Read the limits."""
    usual = FeatureLimits()
    return FeatureLimits(
        edit_seconds=source.integer("EDIT_SECONDS", usual.edit_seconds, most=3650 * DAY),
        edits_per_minute=source.integer("EDITS_PER_MINUTE", usual.edits_per_minute, least=1, most=100_000),
        reads_per_minute=source.integer("READS_PER_MINUTE", usual.reads_per_minute, least=1, most=100_000),
        blocks_per_minute=source.integer("BLOCKS_PER_MINUTE", usual.blocks_per_minute, least=1, most=100_000),
        blocks=source.integer("MAX_BLOCKS", usual.blocks, least=1, most=100_000),
        reports_per_hour=source.integer("REPORTS_PER_HOUR", usual.reports_per_hour, least=1, most=100_000),
        owner_acts_per_minute=source.integer(
            "OWNER_ACTS_PER_MINUTE", usual.owner_acts_per_minute, least=1, most=100_000
        ),
        reason_characters=source.integer("MAX_REASON_CHARACTERS", usual.reason_characters, least=1, most=10_000),
        presence_sockets=source.integer("MAX_PRESENCE_SOCKETS", usual.presence_sockets, most=10_000),
        changes=source.integer("MAX_CHANGES", usual.changes, least=1, most=10_000),
    )
