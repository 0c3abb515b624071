"""Parse websocket frames with aiohttp's parser, one for all sockets whose segments hold whole frames.

A parser and its queue take 1.6 KiB, and a phone's frame nearly always comes in one piece: so between two of them a
socket needs none. One whose frame comes in parts gets a parser of its own, and keeps it.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.base_protocol import BaseProtocol

# RFC 6455, section 5.2.
_FINAL = 0x80
_KIND = 0x0F
_SIZE = 0x7F
_MEDIUM, _LONG = 126, 127
_MASK_BYTES = 4


class _Unheld:
    """Be the connection of a queue that is emptied at once, so that nobody has to pause."""

    _reading_paused = False

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


class Parser:
    """Be a parser and its queue.

    Args:
        most: bytes of one message.
    """

    __slots__ = ("_queue", "_reader")

    def __init__(self, most: int) -> None:
        self._queue = WebSocketDataQueue(cast("BaseProtocol", _Unheld()), most, loop=asyncio.get_running_loop())
        self._reader = WebSocketReader(self._queue, most, compress=False, decode_text=True)

    def parse(self, data: bytes) -> list[Any]:
        """Return the messages that are complete now, as aiohttp's WSMessage."""
        self._reader.feed_data(data)
        messages = []
        while self._queue._buffer:  # noqa: SLF001  # it is public in the compiled class
            messages.append(_pop(self._queue))
        return messages

    @property
    def error(self) -> BaseException | None:
        """What was no frame; nothing is parsed any more then."""
        return self._queue.exception()


class Parsers:
    """Lend a parser for what comes.

    Args:
        most: bytes of one message.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._shared: Parser | None = None

    def lend(self, data: bytes) -> tuple[Parser, bool]:
        """Return a parser for a segment that begins with a frame, and whether its socket has to keep it."""
        if not _is_whole(data):
            return Parser(self._most), True
        # One that has met an error parses nothing more: its socket keeps it.
        if self._shared is None or self._shared.error is not None:
            self._shared = Parser(self._most)
        return self._shared, False


def _is_whole(data: bytes) -> bool:
    """Say whether a segment is made of whole messages, each in one frame; what is wrong in them is not asked here."""
    start, end = 0, len(data)
    while end - start >= 2 + _MASK_BYTES:
        first, second = data[start], data[start + 1]
        if not first & _FINAL or not first & _KIND:
            return False
        size, start = second & _SIZE, start + 2
        if size == _MEDIUM:
            size, start = int.from_bytes(data[start : start + 2]), start + 2
        elif size == _LONG:
            return False
        start += size + (_MASK_BYTES if second & _FINAL else 0)
    return start == end


def _pop(queue: WebSocketDataQueue) -> Any:
    """Take the next message of a queue that has one: its read() then ends without waiting."""
    try:
        queue.read().send(None)
    except StopIteration as stop:
        return stop.value
    raise RuntimeError("the queue was empty")
