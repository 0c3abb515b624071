"""Carry what rooms are told to every replica that has sockets in them."""

from __future__ import annotations

from services.chat.bus.commits import Commits
from services.chat.bus.local import Bus, LocalBus
from services.chat.bus.notes import (
    ALWAYS,
    UNKNOWN,
    Arrived,
    Cut,
    Deliver,
    Gone,
    Moved,
    Mute,
    Note,
    PresenceNote,
    RoomNote,
    Told,
    tell_message,
)

__all__ = (
    "ALWAYS",
    "UNKNOWN",
    "Arrived",
    "Bus",
    "Commits",
    "Cut",
    "Deliver",
    "Gone",
    "LocalBus",
    "Moved",
    "Mute",
    "Note",
    "PresenceNote",
    "RoomNote",
    "Told",
    "tell_message",
)
