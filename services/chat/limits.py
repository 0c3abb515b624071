"""Hold what users may do at most; every limit is a setting with a safe default."""

from __future__ import annotations

from dataclasses import dataclass

from services.settings import Source

KIB = 1024
# No rate has to be higher: it is then no limit.
MANY = 1_000_000


@dataclass(frozen=True)
class Limits:
    """Say how much is too much.

    A mobile carrier puts thousands of phones behind one address, and after a restart all of them come back at once:
    so an address may do much, and what one person may do is the narrower limit.

    Attributes:
        name_characters: of a room's name; its column holds 255.
        body_characters: of a message.
        word_characters: of a stamp's word; its column holds 255.
        whisper_bytes: of a whisper's object, encoded.
        frame_bytes: of one websocket message from a client.
        payload_depth: of objects and arrays in one another; the recursion limit of Python must never decide.
        buffer_bytes: that may wait for a slow reader before it is dropped.
        idle_seconds: without any frame, after which a socket is closed.
        channels: topics that one socket may join at once.
        pending_events: of one channel that may wait while the database is asked.
        events_per_second: that one socket may send on average.
        events_burst: that it may send at once.
        user_events_per_second: that all sockets of one person may send on average.
        user_events_burst: that they may send at once.
        whispers_per_second: of these events, whispers of one socket on average.
        whispers_burst: whispers that it may send at once.
        joins_per_second: of these events, joins of one socket on average.
        joins_burst: joins that it may ask for at once.
        user_joins_per_second: joins of all sockets of one person on average.
        user_joins_burst: joins that they may ask for at once.
        handshakes_per_second: that one address may begin on average.
        handshakes_burst: that it may begin at once.
        sockets_per_user: that one person may have open here.
        sockets_per_address: that one address may have open here.
        sockets: that this process may have open.
        session_days: after a login, after which its sockets are closed; auth has the same setting.
        recheck_seconds: between two looks whether the people behind the sockets still have an account.
        replay_messages: that a join's reply holds at most.
    """

    name_characters: int = 200
    body_characters: int = 10_000
    word_characters: int = 255
    whisper_bytes: int = KIB
    frame_bytes: int = 64 * KIB
    payload_depth: int = 32
    buffer_bytes: int = KIB * KIB
    idle_seconds: int = 60
    channels: int = 100
    pending_events: int = 256
    events_per_second: int = 200
    events_burst: int = 400
    user_events_per_second: int = 1000
    user_events_burst: int = 2000
    whispers_per_second: int = 200
    whispers_burst: int = 400
    joins_per_second: int = 20
    joins_burst: int = 200
    user_joins_per_second: int = 50
    user_joins_burst: int = 500
    handshakes_per_second: int = 500
    handshakes_burst: int = 10_000
    sockets_per_user: int = 50
    sockets_per_address: int = 20_000
    sockets: int = 50_000
    session_days: int = 30
    recheck_seconds: int = 300
    replay_messages: int = 200


def load_limits(source: Source) -> Limits:
    """Read the limits."""
    usual = Limits()
    return Limits(
        name_characters=source.integer("MAX_NAME_CHARACTERS", usual.name_characters, least=1, most=255),
        body_characters=source.integer("MAX_BODY_CHARACTERS", usual.body_characters, least=1, most=100_000),
        word_characters=source.integer("MAX_WORD_CHARACTERS", usual.word_characters, least=1, most=255),
        whisper_bytes=source.integer("MAX_WHISPER_BYTES", usual.whisper_bytes, least=2, most=64 * KIB),
        frame_bytes=source.integer("MAX_FRAME_BYTES", usual.frame_bytes, least=KIB, most=16 * KIB * KIB),
        payload_depth=source.integer("MAX_PAYLOAD_DEPTH", usual.payload_depth, least=1, most=200),
        buffer_bytes=source.integer("MAX_BUFFER_BYTES", usual.buffer_bytes, least=64 * KIB, most=64 * KIB * KIB),
        idle_seconds=source.integer("IDLE_SECONDS", usual.idle_seconds, least=1, most=3600),
        channels=source.integer("MAX_CHANNELS", usual.channels, least=1, most=10_000),
        pending_events=source.integer("MAX_PENDING_EVENTS", usual.pending_events, least=1, most=10_000),
        events_per_second=_rate(source, "EVENTS_PER_SECOND", usual.events_per_second),
        events_burst=_rate(source, "EVENTS_BURST", usual.events_burst),
        user_events_per_second=_rate(source, "USER_EVENTS_PER_SECOND", usual.user_events_per_second),
        user_events_burst=_rate(source, "USER_EVENTS_BURST", usual.user_events_burst),
        whispers_per_second=_rate(source, "WHISPERS_PER_SECOND", usual.whispers_per_second),
        whispers_burst=_rate(source, "WHISPERS_BURST", usual.whispers_burst),
        joins_per_second=_rate(source, "JOINS_PER_SECOND", usual.joins_per_second),
        joins_burst=_rate(source, "JOINS_BURST", usual.joins_burst),
        user_joins_per_second=_rate(source, "USER_JOINS_PER_SECOND", usual.user_joins_per_second),
        user_joins_burst=_rate(source, "USER_JOINS_BURST", usual.user_joins_burst),
        handshakes_per_second=_rate(source, "HANDSHAKES_PER_SECOND", usual.handshakes_per_second),
        handshakes_burst=_rate(source, "HANDSHAKES_BURST", usual.handshakes_burst),
        sockets_per_user=_rate(source, "MAX_SOCKETS_PER_USER", usual.sockets_per_user),
        sockets_per_address=_rate(source, "MAX_SOCKETS_PER_ADDRESS", usual.sockets_per_address),
        sockets=_rate(source, "MAX_SOCKETS", usual.sockets),
        session_days=source.integer("SESSION_DAYS", usual.session_days, least=1, most=365),
        recheck_seconds=source.integer("RECHECK_SECONDS", usual.recheck_seconds, least=1, most=86_400),
        replay_messages=source.integer("MAX_REPLAY_MESSAGES", usual.replay_messages, most=10_000),
    )


def _rate(source: Source, name: str, usual: int) -> int:
    return source.integer(name, usual, least=1, most=MANY)
