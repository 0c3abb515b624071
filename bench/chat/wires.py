"""Speak the wires of the servers that are compared, as their clients do."""

from __future__ import annotations

import json
from enum import Enum, auto
from typing import Protocol


class Kind(Enum):
    """Tell apart what a joined client gets."""

    DELIVERY = auto()
    FAILURE = auto()
    PING = auto()
    OTHER = auto()


class RefusedError(Exception):
    """The server does not let a client in."""


class Wire(Protocol):
    """Make frames and read them."""

    def greet(self, topic: str) -> bytes:
        """Return the first frame of a client."""

    def enter(self, topic: str, frame: bytes) -> bytes | bool:
        """Take a frame that comes before the client is in: return what to send next, or whether it is in now.

        Raises:
            RefusedError: it is not let in.
        """

    def publish(self, topic: str, ref: int, body: str) -> bytes:
        """Return the frame that says something to a room."""

    def kind_of(self, frame: bytes) -> Kind:
        """Tell what a frame to a client that is in means."""

    def heartbeat(self, ref: int) -> bytes | None:
        """Return what a client sends to stay connected, if it has to speak first."""


class PhoenixWire:
    """Speak Phoenix's serializer 2.0.0, as the app does: one frame a message.

    Args:
        event: what is sent and counted.
    """

    def __init__(self, event: str) -> None:
        self._event = event
        self._mark = f'"{event}"'.encode()
        # A whisper comes back to its sender only where the join asks for it.
        self._join = {"self": True} if event == "whisper" else {}
        self._field = "m" if event == "whisper" else "message"

    def greet(self, topic: str) -> bytes:
        """Join at once."""
        return _json(["1", "1", topic, "phx_join", self._join])

    def enter(self, topic: str, frame: bytes) -> bytes | bool:
        """Wait for the join's reply."""
        del topic
        _, ref, _, event, payload = json.loads(frame)
        if event != "phx_reply" or ref != "1":
            return False
        if payload["status"] != "ok":
            raise RefusedError(frame[:200].decode(errors="replace"))
        return True

    def publish(self, topic: str, ref: int, body: str) -> bytes:
        """Push the event."""
        return f'["1","{ref}","{topic}","{self._event}",{{"{self._field}":"{body}"}}]'.encode()

    def kind_of(self, frame: bytes) -> Kind:
        """Look for the names that matter; parsing each frame would measure this client."""
        if b'"phx_' not in frame:
            return Kind.DELIVERY if self._mark in frame else Kind.OTHER
        good = b'"phx_reply"' in frame and b'"error"' not in frame
        return Kind.OTHER if good else Kind.FAILURE

    def heartbeat(self, ref: int) -> bytes:
        """Beat as phoenix.js does."""
        return f'[null,"{ref}","phoenix","heartbeat",{{}}]'.encode()


class CentrifugeWire:
    """Speak centrifuge's JSON protocol: several messages may come in one frame, a line each."""

    def greet(self, topic: str) -> bytes:
        """Connect first."""
        del topic
        return b'{"id":1,"connect":{}}'

    def enter(self, topic: str, frame: bytes) -> bytes | bool:
        """Subscribe once connected."""
        for line in frame.splitlines():
            answer = json.loads(line)
            if "error" in answer:
                raise RefusedError(line[:200].decode(errors="replace"))
            if answer.get("id") == 1:
                return _json({"id": 2, "subscribe": {"channel": topic}})
            if answer.get("id") == 2:  # noqa: PLR2004  # the id given just above
                return True
        return False

    def publish(self, topic: str, ref: int, body: str) -> bytes:
        """Publish into the channel."""
        return f'{{"id":{ref + 1},"publish":{{"channel":"{topic}","data":{{"message":"{body}"}}}}}}'.encode()

    def kind_of(self, frame: bytes) -> Kind:
        """Look for the names that matter."""
        if b'"push"' in frame:
            return Kind.DELIVERY
        if frame == b"{}":
            return Kind.PING
        return Kind.FAILURE if b'"error"' in frame else Kind.OTHER

    def heartbeat(self, ref: int) -> bytes | None:
        """Leave it to the server, whose pings are answered."""
        del ref
        return None


def make_wire(name: str, event: str) -> Wire:
    """Make a wire by its name."""
    return PhoenixWire(event) if name == "phoenix" else CentrifugeWire()


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
