"""Name what the bus carries: what rooms are told, and who is put out of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import msgspec

from services.chat.models import ChatMessage

# Of a message whose predecessor in its room was not asked for.
UNKNOWN = -1
# After every message there can be.
ALWAYS = (1 << 63) - 1


class Told(msgspec.Struct, frozen=True):
    """Tell everybody joined to a topic.

    Attributes:
        topic: "room:<topic>".
        event: the event's name.
        payload: a JSON object.
        message_id: of a stored message; what is not stored has 0.
        after: the message before it in its room, so that a gap is seen; UNKNOWN where nobody looked.
        room: the room of a stored message, by its id.
        author: the member who said it, so that those who muted them are spared; 0 for nobody.
        is_fleeting: whether it is gone a moment later, so that it need not keep to the order of the rest.
        but: the one listener that is not told; it lives in the process where this was said.
    """

    topic: str
    event: str
    payload: Any
    message_id: int = 0
    after: int = UNKNOWN
    room: int = 0
    author: int = 0
    is_fleeting: bool = False
    but: object = None


class Cut(msgspec.Struct, frozen=True):
    """End a person's channels in a room, on every socket.

    Attributes:
        topic: "room:<topic>".
        identity: whose.
        message_id: the newest message of the room when they had left; who joined after it has come back since.
    """

    topic: str
    identity: str
    message_id: int = ALWAYS


class Moved(msgspec.Struct, frozen=True):
    """End everybody's channels in a room whose topic is another now; what is told to the old one later goes there.

    Attributes:
        topic: "room:<topic>", the old one.
        to: the new one.
    """

    topic: str
    to: str


class Mute(msgspec.Struct, frozen=True):
    """Spare a person the words of others in a room, on all their channels in it.

    Attributes:
        topic: "room:<topic>".
        identity: whose channels.
        muted: the members whom they do not hear, from now on and until they are told again.
    """

    topic: str
    identity: str
    muted: frozenset[int]


class Arrived(msgspec.Struct, frozen=True, gc=False):
    """Note that a socket is in a room.

    Attributes:
        topic: "room:<topic>".
        identity: whose, so that nobody is pushed what they are looking at.
        member_id: whose.
        ref: names the socket's stay in the room, and nothing else anywhere.
        since: when it came, in seconds since 1970.
    """

    topic: str
    identity: str
    member_id: int
    ref: int
    since: int


class Gone(msgspec.Struct, frozen=True):
    """Note that a socket is in a room no more."""

    topic: str
    ref: int


RoomNote: TypeAlias = Told | Cut | Moved | Mute
PresenceNote: TypeAlias = Arrived | Gone
Note: TypeAlias = RoomNote | PresenceNote
Deliver: TypeAlias = Callable[[RoomNote], None]


def tell_message(topic: str, message: ChatMessage, after: int = UNKNOWN) -> Told:
    """Make what a room is told of a stored message.

    Args:
        topic: "room:<topic>".
        message: it.
        after: the one before it in its room.
    """
    # That somebody came or went is said by nobody.
    author = message.member_id or 0 if message.type == "chat" else 0
    payload = {"type": "message", "data": message}
    return Told(topic, "shout", payload, message.id, after, message.channel_id, author)
