"""Parse websocket frames with aiohttp's parser, one for all sockets whose segments hold whole frames.

A parser and its queue take 1.6 KiB, and a phone's frame nearly always comes in one piece: so between two of them a
socket needs none. One whose frame comes in parts gets a parser of its own, and keeps it; so does one whose frame nobody
may send, of which aiohttp's parser does not ask everything.
"""

from __future__ import annotations

import asyncio
from typing import Any, cast

from aiohttp import WSCloseCode
from aiohttp._websocket.reader import WebSocketDataQueue, WebSocketReader
from aiohttp.base_protocol import BaseProtocol
from aiohttp.http import WebSocketError

# RFC 6455, section 5.2.
_FINAL = 0x80
_KIND = 0x0F
_CONTROL = 0x08
_MASKED = 0x80
_SIZE = 0x7F
_MEDIUM, _LONG = 126, 127
_LEAST_HEAD, _MASK_BYTES, _MOST_HEAD = 2, 4, 14


class _Inbox(WebSocketDataQueue):
    """Be a parser's queue to which messages are handed and from which they are taken at once: so it is never full."""

    __slots__ = ("messages",)

    def __init__(self, most: int) -> None:
        # Only one that is full has a connection paused.
        super().__init__(cast("BaseProtocol", None), most, loop=asyncio.get_running_loop())
        self.messages: list[Any] = []

    def feed_data(self, data: Any, size: int) -> None:
        del size
        self.messages.append(data)


class _Heads:
    """Go from head to head, and ask what aiohttp's parser does not: a mask, and an end before a new beginning."""

    __slots__ = ("_begun", "_is_open", "_rest")

    def __init__(self) -> None:
        # What has come of a head; or how many bytes of a payload are still to come.
        self._begun = b""
        self._rest = 0
        # Whether a message has begun, and not ended.
        self._is_open = False

    def walk(self, data: bytes) -> int:
        """Return how many bytes of a segment may be parsed: all, or those before what nobody may send."""
        at, self._rest = self._rest, 0
        while at < len(data):
            head = self._begun + data[at : at + _MOST_HEAD - len(self._begun)]
            if len(head) >= _LEAST_HEAD and not self._may_come(head[0] & _KIND, head[1]):
                return at
            size = _frame_bytes(head)
            if not size:
                self._begun = head
                return len(data)
            if not head[0] & _CONTROL:
                self._is_open = not head[0] & _FINAL
            at += size - len(self._begun)
            self._begun = b""
        self._rest = at - len(data)
        return len(data)

    def _may_come(self, kind: int, second: int) -> bool:
        """RFC 6455, sections 5.1 and 5.4."""
        return bool(second & _MASKED) and not (self._is_open and 0 < kind < _CONTROL)


class Parser:
    """Be a parser and its queue.

    Args:
        most: bytes of one message.
        is_strict: whether it asks of each head what aiohttp's parser does not; what comes whole does not need it.
    """

    __slots__ = ("_fault", "_heads", "_queue", "_reader")

    def __init__(self, most: int, *, is_strict: bool) -> None:
        self._queue = _Inbox(most)
        # It refuses what reaches its limit.
        self._reader = WebSocketReader(self._queue, most + 1, compress=False, decode_text=True)
        self._heads = _Heads() if is_strict else None
        self._fault: BaseException | None = None

    def parse(self, data: bytes) -> list[Any]:
        """Return the messages that are complete now, as aiohttp's WSMessage."""
        if self._heads is not None:
            data = self._check(self._heads, data)
        self._reader.feed_data(data)
        messages, self._queue.messages = self._queue.messages, []
        return messages

    @property
    def error(self) -> BaseException | None:
        """What was no frame; nothing is parsed any more then."""
        return self._queue.exception() or self._fault

    def _check(self, heads: _Heads, data: bytes) -> bytes:
        """Return what may be parsed."""
        if self._fault is not None:
            return b""
        end = heads.walk(data)
        if end < len(data):
            self._fault = WebSocketError(WSCloseCode.PROTOCOL_ERROR, "a frame that nobody may send")
        return data[:end]


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
            return Parser(self._most, is_strict=True), True
        # One that has met an error parses nothing more: its socket keeps it.
        if self._shared is None or self._shared.error is not None:
            self._shared = Parser(self._most, is_strict=False)
        return self._shared, False


def _is_whole(data: bytes) -> bool:
    """Say whether a segment is made of whole messages, each in one masked frame; what else is wrong is not asked."""
    start, end = 0, len(data)
    while end - start >= _LEAST_HEAD + _MASK_BYTES:
        first, second = data[start], data[start + 1]
        if not first & _FINAL or not first & _KIND or not second & _MASKED:
            return False
        size, start = second & _SIZE, start + _LEAST_HEAD
        if size == _MEDIUM:
            size, start = int.from_bytes(data[start : start + 2]), start + 2
        elif size == _LONG:
            return False
        start += size + _MASK_BYTES
    return start == end


def _frame_bytes(head: bytes) -> int:
    """Return the bytes of a masked frame, its head included; 0 while that is not all there."""
    if len(head) < _LEAST_HEAD:
        return 0
    size, more = head[1] & _SIZE, 0
    if size >= _MEDIUM:
        more = 2 if size == _MEDIUM else 8
        size = int.from_bytes(head[_LEAST_HEAD : _LEAST_HEAD + more])
    length = _LEAST_HEAD + more + _MASK_BYTES
    return length + size if len(head) >= length else 0
