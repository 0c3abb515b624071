"""Hold the rules for what users name: topics, room names, bodies, words."""

from __future__ import annotations

import re
import secrets
from typing import Any

from services.chat.connection import ROOM_PREFIX
from services.chat.errors import Refusal
from services.chat.protocol import MAX_NAME_BYTES

# Six random bytes are eight characters of base64url: 48 bits, on top of a name that has to be guessed too.
RANDOM_BYTES = 6
# "room:" and "_" and the random part have to fit a binary frame's one-byte length as well.
MAX_SLUG_BYTES = MAX_NAME_BYTES - len(ROOM_PREFIX) - 9

_GAPS = re.compile(r"\s+|:")


def make_topic(name: str) -> str:
    """Make the invitation of a new room: its name in lower case, and what nobody can guess."""
    slug = _GAPS.sub("_", name.lower()).encode()[:MAX_SLUG_BYTES].decode(errors="ignore")
    return f"{slug}_{secrets.token_urlsafe(RANDOM_BYTES)}"


def room_topic(topic: str) -> str:
    """Return the topic under which a room's sockets meet."""
    return ROOM_PREFIX + topic


def bare_topic(topic: str) -> str:
    """Return the topic as the database has it."""
    return topic.removeprefix(ROOM_PREFIX)


def parse_text(name: str, value: Any, *, most: int) -> str:
    """Return a text that a user wrote.

    Args:
        name: what the user's client calls it.
        value: what came.
        most: the most characters it may have.

    Raises:
        Refusal: it is no text, empty, too long, or holds what Postgres cannot keep.
    """
    if not isinstance(value, str):
        raise Refusal(f"{name} must be a string")
    if not value or len(value) > most:
        raise Refusal(f"{name} must have 1 to {most} characters")
    if "\x00" in value:
        raise Refusal(f"{name} must not hold a NUL character")
    return value


def parse_id(name: str, value: Any) -> int:
    """Return the id of something stored.

    Raises:
        Refusal: it cannot be one.
    """
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value < 1 << 63:
        raise Refusal(f"{name} must be a positive integer")
    return value
