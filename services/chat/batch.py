"""Hold what a room is told in one piece, ready for the wire: encoded once for all who speak alike."""

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

    What every socket of a room asks is an attribute, and no call; what hardly any asks is worked out when one does.

    Args:
        topic: as its listeners know it.
        lines: the broadcasts.

    Attributes:
        size: how many they are.
        first_id: the least id of its stored messages; 0 without any.
        is_for_all: whether everybody is told all of it who has muted nobody.
        joined: all frames in one piece, for the serializers for which join() has made it.
    """

    __slots__ = ("_frames", "_lines", "_topic", "first_id", "is_for_all", "joined", "size")

    def __init__(self, topic: str, lines: Sequence[Line]) -> None:
        self._topic = topic
        self._lines = lines
        self._frames: dict[Version, list[bytes]] = {}
        self.size = len(lines)
        self.joined: dict[Version, bytes] = {}
        self.first_id = 0
        self.is_for_all = True
        for told, _ in lines:
            if told.message_id and not 0 < self.first_id < told.message_id:
                self.first_id = told.message_id
            if told.but is not None:
                self.is_for_all = False

    def is_whole_for(self, ear: Ear) -> bool:
        """Say whether somebody is told all of it."""
        return all(told.but is not ear and told.author not in ear.muted for told, _ in self._lines)

    def join(self, version: Version) -> bytes:
        """Put all frames in one piece, to be written at once."""
        frames = self._encoded(version)
        joined = self.joined[version] = frames[0] if len(frames) == 1 else b"".join(frames)
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
