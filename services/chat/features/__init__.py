"""Rooms beyond the original: each feature a module of its own, which the core does not import."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from aiohttp import web
from prometheus_client import CollectorRegistry

from services.chat.bus import Note
from services.chat.chat import Chat
from services.chat.extensions import Extension
from services.chat.feature_limits import FeatureLimits
from services.chat.features import blocks, edits, owner, read_markers, reports
from services.chat.features.blocks import BLOCKS, Blocks
from services.chat.features.doors import Pace
from services.chat.features.edits import EDITS, Edits
from services.chat.features.owner import OWNER, Owner
from services.chat.features.presence import Presence
from services.chat.features.read_markers import READ_MARKERS, ReadMarkers
from services.chat.features.reports import HOUR, REPORTS, Reports
from services.chat.limits import Limits
from services.chat.room import Rooms
from services.chat.store import Store
from services.database import Database

OPERATIONS = (
    *read_markers.OPERATIONS,
    *edits.OPERATIONS,
    *blocks.OPERATIONS,
    *reports.OPERATIONS,
    *owner.OPERATIONS,
)


@dataclass(frozen=True)
class Features:
    """Hold the opened features."""

    read_markers: ReadMarkers
    presence: Presence
    edits: Edits
    blocks: Blocks
    reports: Reports
    owner: Owner

    @property
    def extensions(self) -> tuple[Extension, ...]:
        """Those that hang on to the sockets; blocks first, so that the others meet who is heard."""
        return self.blocks, self.edits, self.read_markers, self.presence

    def add_to(self, public: web.Application, internal: web.Application) -> None:
        """Add the calls of the features to the service's two applications."""
        public[READ_MARKERS], public[EDITS], public[BLOCKS] = self.read_markers, self.edits, self.blocks
        public[REPORTS], public[OWNER], internal[REPORTS] = self.reports, self.owner, self.reports
        add_routes(public)
        reports.add_internal_routes(internal)

    async def close(self) -> None:
        """Leave nothing running."""
        self.read_markers.close()
        self.presence.close()
        await self.reports.close()


def open_features(
    *,
    database: Database,
    store: Store,
    chat: Chat,
    publish: Callable[[Note], None],
    presence: Presence,
    rooms: Rooms,
    limits: Limits,
    feature_limits: FeatureLimits,
    registry: CollectorRegistry,
) -> Features:
    """Open every feature.

    Args:
        database: where they keep what they know.
        store: the core's.
        chat: gives changes their turn among a room's messages.
        publish: takes notes for rooms.
        presence: of the core, which asks it who is looking.
        rooms: says who listens.
        limits: the core's.
        feature_limits: their own.
        registry: of the service's metrics.
    """
    own = feature_limits
    return Features(
        read_markers=ReadMarkers(database, publish, rooms, Pace(own.reads_per_minute)),
        presence=presence,
        edits=Edits(
            database,
            chat,
            publish,
            Pace(own.edits_per_minute),
            body_characters=limits.body_characters,
            edit_seconds=own.edit_seconds,
            most_changes=own.changes,
        ),
        blocks=Blocks(database, store, publish, Pace(own.blocks_per_minute), most=own.blocks),
        reports=Reports(
            database, Pace(own.reports_per_hour, HOUR), reason_characters=own.reason_characters, registry=registry
        ),
        owner=Owner(
            database, store, chat, publish, Pace(own.owner_acts_per_minute), name_characters=limits.name_characters
        ),
    )


def add_routes(public: web.Application) -> None:
    """Add the features' calls to the public application."""
    for module in (read_markers, edits, blocks, reports, owner):
        module.add_routes(public)
