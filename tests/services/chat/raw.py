"""Be a websocket client made of bytes, which can say what no client library would."""

from __future__ import annotations

import asyncio
import json
import os
import struct
from dataclasses import dataclass
from typing import Any

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
FIN, COMPRESSED = 0x80, 0x40
SECONDS = 60


def frame(payload: bytes, first: int = FIN | TEXT, *, is_masked: bool = True) -> bytes:
    """Make a client's frame, whatever its first byte says."""
    size, mask = len(payload), 0x80 if is_masked else 0
    if size < 126:
        head = bytes([first, mask | size])
    elif size < 1 << 16:
        head = struct.pack("!BBH", first, mask | 126, size)
    else:
        head = struct.pack("!BBQ", first, mask | 127, size)
    if is_masked:
        key = os.urandom(4)
        mask_of_all = int.from_bytes((key * (size // 4 + 1))[:size])
        payload = key + (int.from_bytes(payload) ^ mask_of_all).to_bytes(size)
    return head + payload


@dataclass(frozen=True)
class Raw:
    """Be one connection after its upgrade."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def send(self, payload: bytes, *, first: int = FIN | TEXT, is_masked: bool = True) -> None:
        """Send one frame, whatever its first byte says."""
        await self.send_bytes(frame(payload, first, is_masked=is_masked))

    async def send_bytes(self, data: bytes) -> None:
        """Send what is no frame perhaps."""
        self.writer.write(data)
        await self.writer.drain()

    async def receive(self) -> tuple[int, bytes]:
        """Return the kind and the payload of the next frame."""
        async with asyncio.timeout(SECONDS):
            head, size = await self.reader.readexactly(2)
            if size >= 126:
                size = int.from_bytes(await self.reader.readexactly(2 if size == 126 else 8))
            return head & 15, await self.reader.readexactly(size)

    async def closed(self) -> int:
        """Return the code with which the server closes; 0 when it says nothing."""
        try:
            while True:
                kind, payload = await self.receive()
                if kind == CLOSE:
                    return int.from_bytes(payload[:2], "big")
        except (asyncio.IncompleteReadError, ConnectionError):
            return 0

    async def answer(self) -> Any:
        """Return the next text frame's JSON."""
        kind, payload = await self.receive()
        assert kind == TEXT, (kind, payload)
        return json.loads(payload)

    def abort(self) -> None:
        """Be gone without a word."""
        self.writer.transport.abort()


# What the tests have opened, for a fixture to abort.
opened: list[Raw] = []


async def handshake(base: str, path: str, *, headers: str = "") -> tuple[Raw, bytes]:
    """Open a connection and ask for the upgrade; return it with the head of the answer."""
    host, port = base.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    request = (
        f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n{headers}\r\n"
    )
    raw = Raw(reader, writer)
    opened.append(raw)
    writer.write(request.encode())
    async with asyncio.timeout(SECONDS):
        return raw, await reader.readuntil(b"\r\n\r\n")


async def connect(base: str, token: str, *, headers: str = "") -> Raw:
    """Open a websocket."""
    raw, head = await handshake(base, f"/socket/websocket?token={token}&vsn=2.0.0", headers=headers)
    assert head.startswith(b"HTTP/1.1 101 "), head
    assert b"permessage-deflate" not in head.lower()
    return raw
