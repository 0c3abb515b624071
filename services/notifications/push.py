"""Name what is pushed, and what can become of it."""

from __future__ import annotations

import enum
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec


class Payload(msgspec.Struct, frozen=True):
    """Hold what every device of a notification gets.

    Attributes:
        title: the channel's name.
        body: who wrote, and what.
        data: strings for the app.
    """

    title: str
    body: str
    data: dict[str, str] = {}


@dataclass(frozen=True)
class Notice:
    """Be something to tell people's devices.

    Attributes:
        key: names it: handed over again, it is told once.
        identities: whom to tell.
        payload: what.
        collapse_key: of those that wait for one device, only the one of the highest rank goes out; none when empty.
        rank: rises with what is newer.
        badges: the number on the app's icon, for whom it is known.
    """

    key: str
    identities: Sequence[str]
    payload: Payload
    collapse_key: str = ""
    rank: int = 0
    badges: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Delivery:
    """Be one notice on its way to one device.

    Attributes:
        id: of its row.
        token: what FCM calls the device.
        payload: what it is told.
        collapse_key: as the notice has it.
        badge: the number on the app's icon, if it is known.
        attempts: how often it was claimed, this time included.
        seconds_left: until it is not worth sending any more.
        is_registered: whether the device is still the person's.
    """

    id: int
    token: str
    payload: Payload
    collapse_key: str
    badge: int | None
    attempts: int
    seconds_left: float
    is_registered: bool


class Outcome(enum.StrEnum):
    """Say what became of one try."""

    SENT = "sent"
    # The provider no longer knows the device: forget it.
    GONE = "gone"
    # A passing failure: the same push may succeed later.
    LATER = "later"
    # A mistake of ours or of the set-up: sending it again as it is would fail again.
    REFUSED = "refused"


@dataclass(frozen=True)
class Result:
    """Say what came back of one try.

    Attributes:
        outcome: what it means.
        reason: the provider's word, or ours.
        retry_after: seconds that the provider asks us to wait, if it does.
        is_alert: whether a person has to look at it.
    """

    outcome: Outcome
    reason: str = ""
    retry_after: float | None = None
    is_alert: bool = False


class Sender(Protocol):
    """Be a way to reach devices."""

    async def send(self, delivery: Delivery) -> Result:
        """Push to one device; it never raises for what a provider does."""
