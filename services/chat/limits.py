"""Hold what users may do at most; every limit is a setting with a safe default."""

from __future__ import annotations

import time
from dataclasses import dataclass

from services.settings import Source

KIB = 1024


@dataclass(frozen=True)
class Limits:
    """Say how much is too much.

    Attributes:
        name_characters: of a room's name; its column holds 255.
        body_characters: of a message.
        word_characters: of a stamp's word; its column holds 255.
        frame_bytes: of one websocket message from a client.
        buffer_bytes: that may wait for a slow reader before it is dropped.
        idle_seconds: without any frame, after which a socket is closed.
        channels: topics that one socket may join at once.
        pending_events: of one channel that may wait while the database is asked.
        events_per_second: that one socket may send on average.
        events_burst: that it may send at once.
        sockets_per_user: that one person may have open here.
        replay_messages: that a join's reply holds at most.
    """

    name_characters: int = 200
    body_characters: int = 10_000
    word_characters: int = 255
    frame_bytes: int = 64 * KIB
    buffer_bytes: int = KIB * KIB
    idle_seconds: int = 60
    channels: int = 100
    pending_events: int = 256
    events_per_second: int = 200
    events_burst: int = 400
    sockets_per_user: int = 50
    replay_messages: int = 200


def load_limits(source: Source) -> Limits:
    """Read the limits."""
    usual = Limits()
    return Limits(
        name_characters=source.integer("MAX_NAME_CHARACTERS", usual.name_characters, least=1, most=255),
        body_characters=source.integer("MAX_BODY_CHARACTERS", usual.body_characters, least=1, most=100_000),
        word_characters=source.integer("MAX_WORD_CHARACTERS", usual.word_characters, least=1, most=255),
        frame_bytes=source.integer("MAX_FRAME_BYTES", usual.frame_bytes, least=KIB, most=16 * KIB * KIB),
        buffer_bytes=source.integer("MAX_BUFFER_BYTES", usual.buffer_bytes, least=64 * KIB, most=64 * KIB * KIB),
        idle_seconds=source.integer("IDLE_SECONDS", usual.idle_seconds, least=1, most=3600),
        channels=source.integer("MAX_CHANNELS", usual.channels, least=1, most=10_000),
        pending_events=source.integer("MAX_PENDING_EVENTS", usual.pending_events, least=1, most=10_000),
        events_per_second=source.integer("EVENTS_PER_SECOND", usual.events_per_second, least=1, most=100_000),
        events_burst=source.integer("EVENTS_BURST", usual.events_burst, least=1, most=100_000),
        sockets_per_user=source.integer("MAX_SOCKETS_PER_USER", usual.sockets_per_user, least=1, most=100_000),
        replay_messages=source.integer("MAX_REPLAY_MESSAGES", usual.replay_messages, most=10_000),
    )


class TokenBucket:
    """Allow so many events a second, and so many at once.

    Args:
        rate: a second.
        burst: at once.
    """

    __slots__ = ("_burst", "_filled", "_level", "_rate")

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._level = burst
        self._filled = time.monotonic()

    def take(self) -> bool:
        """Take one token; say whether there was one."""
        now = time.monotonic()
        self._level = min(self._burst, self._level + (now - self._filled) * self._rate)
        self._filled = now
        if self._level < 1:
            return False
        self._level -= 1
        return True
