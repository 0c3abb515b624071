"""Hold what a room is told within one turn of the loop, ready for the wire: encoded once for all who speak alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Protocol, TypeAlias

import msgspec

from services.chat.bus import Told
from services.chat.frames import pack_text
from services.chat.protocol import Version, encode_broadcast

# A broadcast, and the JSON of its payload.
Line: TypeAlias = tuple[Told, msgspec.Raw]


class Ear(Protocol):
    """Be who is told, as far as that decides on what."""

    @property
    def version(self) -> Version:
        """The serializer of the socket."""

    @property
    def muted(self) -> frozenset[int]:
        """The members whose words are not wanted."""


class Batch:
    """Be one or more broadcasts of one room, in order.

    Args:
        topic: as its listeners know it.
        lines: the broadcasts.

    Attributes:
        first_id: the least id of its stored messages; 0 without any.
    """

    __slots__ = ("_authors", "_frames", "_joined", "_lines", "_spared", "_topic", "first_id")

    def __init__(self, topic: str, lines: Sequence[Line]) -> None:
        self._topic = topic
        self._lines = lines
        self._frames: dict[Version, list[bytes]] = {}
        self._joined: dict[Version, bytes] = {}
        self._authors = {told.author for told, _ in lines}
        self._spared = {told.but for told, _ in lines if told.but is not None}
        self.first_id = min((told.message_id for told, _ in lines if told.message_id), default=0)

    def __len__(self) -> int:
        return len(self._lines)

    def is_whole_for(self, ear: Ear) -> bool:
        """Say whether somebody is told all of it."""
        return ear not in self._spared and (not ear.muted or ear.muted.isdisjoint(self._authors))

    def joined(self, version: Version) -> bytes:
        """Return all frames in one piece, to be written at once."""
        joined = self._joined.get(version)
        if joined is None:
            joined = self._joined[version] = b"".join(self._encoded(version))
        return joined

    def parts_for(self, ear: Ear) -> Iterator[tuple[Told, bytes]]:
        """Give, one by one, what somebody is told, and its frame."""
        for (told, _), frame in zip(self._lines, self._encoded(ear.version), strict=True):
            if told.but is not ear and told.author not in ear.muted:
                yield told, frame

    def _encoded(self, version: Version) -> list[bytes]:
        frames = self._frames.get(version)
        if frames is None:
            topic = self._topic
            frames = [pack_text(encode_broadcast(topic, told.event, raw, version)) for told, raw in self._lines]
            self._frames[version] = frames
        return frames
