"""Write websocket frames to a transport: the same bytes for every member of a room, and never a wait."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable

from services.chat.protocol import Frame

# RFC 6455, section 5.2: the last frame of its message, text or binary; a server does not mask.
_TEXT, _BINARY = 0x81, 0x82
_SHORT, _MEDIUM = 126, 1 << 16


def pack(frame: Frame) -> bytes:
    """Put the websocket header before a frame."""
    if isinstance(frame, str):
        return pack_text(frame.encode())
    return _pack(_BINARY, frame)


def pack_text(data: bytes) -> bytes:
    """Put the header of a text frame before what is UTF-8 already."""
    return _pack(_TEXT, data)


def _pack(kind: int, data: bytes) -> bytes:
    size = len(data)
    if size < _SHORT:
        return bytes((kind, size)) + data
    if size < _MEDIUM:
        return struct.pack("!BBH", kind, 126, size) + data
    return struct.pack("!BBQ", kind, 127, size) + data


class Outlet:
    """Be the way to one client; its queue is the transport's own buffer, and is bounded.

    A reader that cannot keep up is dropped and told nothing: skipping what it missed would lose messages silently,
    and its client fetches them when it comes back. The room never waits for it.

    Args:
        transport: of the socket, after its upgrade.
        most: bytes that may wait in the buffer.
        on_drop: called when the reader is dropped.
    """

    __slots__ = ("_is_shut", "_most", "_on_drop", "_transport")

    def __init__(self, transport: asyncio.Transport, *, most: int, on_drop: Callable[[], None]) -> None:
        self._transport = transport
        self._most = most
        self._on_drop = on_drop
        self._is_shut = False

    def send(self, frame: Frame) -> None:
        """Send one frame."""
        self.write(pack(frame))

    def write(self, data: bytes) -> None:
        """Send what is packed already."""
        if self._is_shut or self._transport.is_closing():
            return
        if self._transport.get_write_buffer_size() > self._most:
            self.drop()
            return
        self._transport.write(data)

    def shut(self) -> None:
        """Send nothing more: after the close frame nothing may follow."""
        self._is_shut = True

    def drop(self) -> None:
        """Cut the connection of a reader that cannot keep up, without a word."""
        self._on_drop()
        self.cut()

    def cut(self) -> None:
        """Cut the connection and forget what waits for it."""
        self.shut()
        self._transport.abort()
