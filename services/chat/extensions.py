"""Let features hang on to the sockets: events of their own, and who comes and goes; the core knows none of them."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, TypeAlias

from services.chat.models import Seat

# What the core answers itself; a feature cannot take these over.
CORE_EVENTS = frozenset(
    {"phx_join", "phx_leave", "phx_close", "phx_error", "phx_reply", "heartbeat", "access_token"}
    | {"shout", "stamp", "ping", "whisper"}
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Event:
    """Carry one event of a joined channel to a feature.

    Attributes:
        topic: "room:<topic>".
        identity: who sent it.
        seat: the sender's place in the room when it was joined.
        payload: decoded JSON, or the bytes of a binary frame; read_object() makes an object of it.
        session_key: stands for the one channel of the one socket, and is hashable.
    """

    topic: str
    identity: str
    seat: Seat
    payload: Any
    session_key: object


@dataclass(frozen=True, slots=True)
class Joined:
    """Tell a feature of a channel that was joined.

    Attributes:
        topic: "room:<topic>".
        identity: who joined.
        seat: their place in the room.
        session_key: stands for the one channel of the one socket, and is hashable.
        push: sends an event with a payload to this socket alone; it never waits.
        mute: takes the member ids whose words this channel is not sent from now on; the last call counts.
        payload: of the join, as it came: what the client asks for beyond the original.
    """

    topic: str
    identity: str
    seat: Seat
    session_key: object
    push: Callable[[str, Any], None]
    mute: Callable[[frozenset[int]], None]
    payload: Any = None


# What a handler returns is the response of the "ok" reply; the reason of a Refusal goes into the "error" reply.
Handler: TypeAlias = Callable[[Event], Awaitable[dict[str, Any]]]


class Extension:
    """Be a feature; what it does not override does nothing.

    Attributes:
        events: a handler for each event that the feature adds. Events of one channel are handled one after the other.
    """

    events: Mapping[str, Handler] = MappingProxyType({})

    async def joined(self, joined: Joined) -> None:
        """Greet a channel: after the ok reply to its join, and before it is told anything of the room.

        What this raises ends the channel with phx_error, and the client joins again.
        """

    def left(self, topic: str, identity: str, seat: Seat, session_key: object) -> None:
        """Forget a channel that has ended, in whatever way; once for each joined(), never before it is done.

        It must not wait.
        """


class Extensions:
    """Hold the features that a process has.

    Args:
        features: in the order in which they are told.

    Raises:
        ValueError: two of them, or one and the core, handle the same event.
    """

    def __init__(self, features: Sequence[Extension] = ()) -> None:
        self._features = tuple(features)
        self.handlers: dict[str, Handler] = {}
        for feature in self._features:
            for event, handler in feature.events.items():
                if event in self.handlers or event in CORE_EVENTS:
                    raise ValueError(f"the event {event} has a handler already")
                self.handlers[event] = handler

    async def joined(self, joined: Joined) -> None:
        """Tell every feature, one after the other."""
        for feature in self._features:
            await feature.joined(joined)

    def left(self, topic: str, identity: str, seat: Seat, session_key: object) -> None:
        """Tell every feature; one that fails must not keep the others from hearing."""
        for feature in self._features:
            try:
                feature.left(topic, identity, seat, session_key)
            except Exception:
                logger.exception("a feature failed at a leave", extra={"fields": {"feature": type(feature).__name__}})
