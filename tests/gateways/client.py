"""Say to a gateway exactly the bytes that a test means, and read what comes back."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

# Seconds that an answer may take, on a machine that does other things too.
PATIENCE = 60.0
_WEBSOCKET = (
    "Connection: Upgrade",
    "Upgrade: websocket",
    "Sec-WebSocket-Version: 13",
    "Sec-WebSocket-Key: c3RhbXBjaGF0LW91dHNpZA==",
)


def _always(_path: str) -> AbstractContextManager[None]:
    return contextlib.nullcontext()


@dataclass(frozen=True)
class Gateway:
    """Describe one gateway under test.

    Attributes:
        name: for people.
        address: where it listens.
        port: on which port clients speak with it.
        hostname: the name that clients use; empty where it serves any.
        secure: how to speak TLS with it; None where it is spoken with in clear.
        clear_port: where it redirects clear requests; 0 where it does not.
        client: our own address, as it should tell it to the services; empty where it has a word of its own for us.
        takes_bare_prefix: whether /auth is auth's too, as Gateway API says, and not only what is under /auth/.
        takes_old_http: whether HTTP/1.0 is served.
        drops_aliases: whether it takes away X_Forwarded_For, which to some servers is X-Forwarded-For.
        upgrades_all: whether it upgrades wherever a service would, and not on the socket's path alone.
        refuses_encoded_slashes: whether a path with %2F in it is refused; a service takes it for a letter then.
        has_page: whether the web page is served at its root.
        challenge: has an ACME challenge under way at a path, for a block.
    """

    name: str
    address: str
    port: int
    hostname: str = ""
    secure: ssl.SSLContext | None = None
    clear_port: int = 0
    client: str = "127.0.0.1"
    takes_bare_prefix: bool = True
    takes_old_http: bool = True
    drops_aliases: bool = True
    upgrades_all: bool = True
    refuses_encoded_slashes: bool = True
    has_page: bool = True
    challenge: Callable[[str], AbstractContextManager[None]] = _always

    @property
    def host(self) -> str:
        """What a client writes as Host."""
        return self.hostname or f"{self.address}:{self.port}"

    def connect(self, *, clear: bool = False) -> socket.socket:
        """Open a connection."""
        plain = socket.create_connection((self.address, self.clear_port if clear else self.port), timeout=PATIENCE)
        if clear or self.secure is None:
            return plain
        return self.secure.wrap_socket(plain, server_hostname=self.hostname)

    def ask(
        self,
        target: str,
        *headers: str,
        method: str = "GET",
        version: str = "1.1",
        host: str | None = None,
        body: bytes = b"",
        clear: bool = False,
    ) -> Answer:
        """Send one request and return the answer.

        Args:
            target: what stands in the request line, as it is.
            headers: more lines.
            method: any word.
            version: of HTTP.
            host: the Host header, or the gateway's own.
            body: what follows the head.
            clear: whether to speak with the clear port.
        """
        lines = [f"{method} {target} HTTP/{version}", f"Host: {self.host if host is None else host}"]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        return self.say(
            "\r\n".join([*lines, *headers, "Connection: close", "", ""]).encode("latin-1") + body, clear=clear
        )

    def say(self, text: bytes, *, clear: bool = False) -> Answer:
        """Send bytes and return the first answer to them; one without a status is a connection that was closed."""
        with self.connect(clear=clear) as connection:
            # A gateway that has heard enough may close before all is sent.
            with contextlib.suppress(ConnectionError):
                connection.sendall(text)
            return read_answer(connection, text.split(b" ", 1)[0])

    @contextlib.contextmanager
    def socket(self, target: str, *headers: str) -> Iterator[tuple[Answer, socket.socket]]:
        """Ask for a websocket; hand on the answer and the connection."""
        with self.connect() as connection:
            lines = [f"GET {target} HTTP/1.1", f"Host: {self.host}", *_WEBSOCKET, *headers, "", ""]
            connection.sendall("\r\n".join(lines).encode())
            yield read_answer(connection, b"GET"), connection


@dataclass(frozen=True)
class Answer:
    """Hold what came back.

    Attributes:
        status: the HTTP status; 0 where there was none.
        headers: names in small letters.
        body: the body, whole.
    """

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def reached(self) -> dict[str, Any] | None:
        """What reached a service, by its own word; None where none was reached."""
        try:
            told = json.loads(self.body)
        except ValueError:
            return None
        return told if isinstance(told, dict) and "place" in told else None

    @property
    def place(self) -> str:
        """Which port of which service was reached ("auth:public"), or nothing."""
        return self.reached["place"] if self.reached else ""

    @property
    def target(self) -> str:
        """The target that reached it."""
        return self.reached["target"] if self.reached else ""

    def values(self, name: str) -> list[str]:
        """Return the values of a header that reached the service."""
        return [value for key, value in self.reached["headers"] if key == name] if self.reached else []


def read_answer(connection: socket.socket, method: bytes) -> Answer:
    """Read one answer: its head, and a body as long as it says."""
    with contextlib.suppress(ConnectionError):
        stream = _Stream(connection)
        head = stream.until(b"\r\n\r\n").decode("latin-1")
        # Before HTTP/1.0 there was no head, and what is said to a server of HTTP/2 it answers in frames.
        if not head.startswith("HTTP/"):
            return Answer(0)
        first, *lines = head.strip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split(" ")[1])
        if method == b"HEAD" or status in {101, 204, 304}:
            return Answer(status, headers)
        return Answer(status, headers, stream.body(headers))
    return Answer(0)


class _Stream:
    """Read a connection byte by byte where it matters: what follows an upgrade is somebody else's."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def until(self, mark: bytes) -> bytes:
        found = b""
        while not found.endswith(mark) and (byte := self._connection.recv(1)):
            found += byte
        return found

    def exactly(self, size: int) -> bytes:
        found = b""
        while len(found) < size and (part := self._connection.recv(size - len(found))):
            found += part
        return found

    def body(self, headers: dict[str, str]) -> bytes:
        if "chunked" in headers.get("transfer-encoding", ""):
            body = b""
            while size := int(self.until(b"\r\n").split(b";")[0] or b"0", 16):
                body += self.exactly(size)
                self.until(b"\r\n")
            return body
        return self.exactly(int(headers.get("content-length", 1 << 30)))


def send_frame(connection: socket.socket, text: bytes) -> None:
    """Send a text frame as a client does, masked (RFC 6455, section 5.3)."""
    mask = os.urandom(4)
    masked = bytes(byte ^ mask[i % 4] for i, byte in enumerate(text))
    connection.sendall(bytes([0x81, 0x80 | len(text)]) + mask + masked)


def read_frame(connection: socket.socket) -> bytes:
    """Read a text frame."""
    stream = _Stream(connection)
    size = stream.exactly(2)[1] & 0x7F
    if size == 126:
        size = int.from_bytes(stream.exactly(2))
    return stream.exactly(size)


def places(*names: str) -> Sequence[str]:
    """List the places of services: each has a port for clients and one for machines alone."""
    return [f"{name}:{kind}" for name in names for kind in ("public", "internal")]
