"""Stand in for the services behind a gateway: answer each request with what of it arrived, and where.

`python echo.py 0.0.0.0 auth:public=3000 auth:internal=3010 …` listens on each port under its name, with nothing but the
standard library. It reads what it gets as it is written, tidies nothing up, and takes one request a connection.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import sys
from typing import Any

# RFC 6455, section 1.3.
_ACCEPT = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_HEAD_LIMIT = 4 << 20
REFUSED_SOCKET = "/socket/refused"


async def answer(place: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer one request."""
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, target, *_ = head.split("\r\n", 1)[0].split(" ")
        pairs = [line.partition(":") for line in head.split("\r\n")[1:] if line]
        headers = [(name.lower(), value.strip()) for name, _, value in pairs]
        told = {"place": place, "method": method, "target": target, "headers": headers}
        key = dict(headers).get("sec-websocket-key", "")
        if dict(headers).get("upgrade", "").lower() == "websocket" and key and target != REFUSED_SOCKET:
            await _talk(told, key, reader, writer)
        else:
            told["body"] = (await _read_body(dict(headers), reader)).decode("latin-1")
            status = "403 Forbidden" if target == REFUSED_SOCKET else "200 OK"
            _write(writer, status, json.dumps(told).encode(), without_body=method == "HEAD")
        await writer.drain()
    except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError):
        pass  # whoever it was has gone
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def _write(writer: asyncio.StreamWriter, status: str, body: bytes, *, without_body: bool) -> None:
    head = (
        f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n"
    )
    writer.write(f"{head}\r\n".encode() + (b"" if without_body else body))


async def _read_body(headers: dict[str, str], reader: asyncio.StreamReader) -> bytes:
    if "chunked" not in headers.get("transfer-encoding", ""):
        return await reader.readexactly(int(headers.get("content-length", 0)))
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


async def _talk(told: dict[str, Any], key: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take the upgrade, say what arrived in a first frame, and send back every frame as it comes."""
    accept = base64.b64encode(hashlib.sha1((key + _ACCEPT).encode()).digest()).decode()  # noqa: S324  # the RFC's
    lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
    head = "\r\n".join([*lines, f"Sec-WebSocket-Accept: {accept}", "", ""])
    writer.write(head.encode() + frame(json.dumps(told).encode()))
    while True:
        await writer.drain()
        opcode, size = await reader.readexactly(2)
        length = size & 0x7F
        if length == 126:  # RFC 6455, section 5.2
            length = int.from_bytes(await reader.readexactly(2))
        mask = await reader.readexactly(4)
        text = bytes(byte ^ mask[i % 4] for i, byte in enumerate(await reader.readexactly(length)))
        writer.write(frame(text, opcode))
        if opcode & 0x0F == 8:  # the other side closes
            return


def frame(text: bytes, opcode: int = 0x81) -> bytes:
    """Build a frame that a server sends."""
    size = bytes([len(text)]) if len(text) < 126 else b"\x7e" + len(text).to_bytes(2)  # the same
    return bytes([opcode]) + size + text


async def serve(host: str, places: dict[str, int]) -> None:
    """Listen on every port until the end."""
    for place, port in places.items():

        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, place: str = place) -> Any:
            return answer(place, reader, writer)

        await asyncio.start_server(accept, host, port, limit=_HEAD_LIMIT)
    print("listening", flush=True)  # noqa: T201  # whoever started us waits for this
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(
        serve(sys.argv[1], {place: int(port) for place, _, port in (word.partition("=") for word in sys.argv[2:])})
    )
