"""Log in to a Postgres as far as its yes or no, with SCRAM-SHA-256, and open nothing more.

The deployer has no database driver: all it wants to know is whether a password opens what it is for. A password leaves
this machine under TLS alone, and never as itself: what asks for it in the clear, or by md5, is told apart.

https://www.postgresql.org/docs/current/protocol-flow.html, sasl-authentication.html; RFC 5802.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import socket
import struct

_PROTOCOL = 196608
_OK, _SASL, _SASL_CONTINUE, _SASL_FINAL = 0, 10, 11, 12
_MECHANISM = b"SCRAM-SHA-256"
# A server's greeting is a few hundred bytes.
_LONGEST = 65536
_MOST_MESSAGES = 100
# Not more than a minute of one core: a server's own default is 4096.
_MOST_ITERATIONS = 10_000_000


class RefusedError(Exception):
    """Carry a server's own words, and its code for them.

    Args:
        code: https://www.postgresql.org/docs/current/errcodes-appendix.html
        words: the message, which names users and databases and never a password.
    """

    def __init__(self, code: str, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class UntriedError(Exception):
    """Say why a password was not tried."""


def log_in(connection: socket.socket, user: str, password: str, database: str) -> str:
    """Log in over a connection that is under TLS already; return the server's version, such as 15.14, or nothing.

    Args:
        connection: to the server.
        user: who asks.
        password: what they know.
        database: what they want to use.

    Raises:
        RefusedError: the server says no.
        UntriedError: it asks for the password in another way than SCRAM.
        OSError: the connection broke.
    """
    pairs = b"".join(part.encode() + b"\0" for part in ("user", user, "database", database))
    head = struct.pack("!I", _PROTOCOL)
    _send(connection, b"", head + pairs + b"\0")
    kind, rest = _authentication(connection)
    if kind == _SASL:
        if _MECHANISM not in rest.split(b"\0"):
            raise UntriedError("asks for another proof of the password than SCRAM-SHA-256")
        _prove(connection, password)
    elif kind != _OK:
        raise UntriedError("asks for the password in the clear or by md5")
    # A database that is not there, or takes no more, is told once the password was right.
    version = _greeting(connection)
    _send(connection, b"X", b"")
    return version


def _greeting(connection: socket.socket) -> str:
    """Read what a server tells of itself until it waits for a query; return its version."""
    version = ""
    for _ in range(_MOST_MESSAGES):
        kind, body = _receive(connection)
        name, _, value = body.partition(b"\0")
        if kind == b"S" and name == b"server_version":
            version = value.rstrip(b"\0").decode(errors="replace")
        if kind == b"Z":
            break
    return version


def _prove(connection: socket.socket, password: str) -> None:
    own = base64.b64encode(os.urandom(18)).decode()
    first = f"n=,r={own}"
    opening = f"n,,{first}".encode()
    _send(connection, b"p", _MECHANISM + b"\0" + struct.pack("!I", len(opening)) + opening)
    kind, challenge = _authentication(connection)
    fields = dict(part.split("=", 1) for part in challenge.decode().split(",") if "=" in part)
    iterations = int(fields.get("i", "0"))
    if kind != _SASL_CONTINUE or not fields.get("r", "").startswith(own) or not 0 < iterations < _MOST_ITERATIONS:
        raise UntriedError("does not speak SCRAM as its standard says")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(fields["s"]), iterations)
    key = hmac.digest(salted, b"Client Key", "sha256")
    last = f"c=biws,r={fields['r']}"
    signed = f"{first},{challenge.decode()},{last}".encode()
    signature = hmac.digest(hashlib.sha256(key).digest(), signed, "sha256")
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    _send(connection, b"p", f"{last},p={base64.b64encode(proof).decode()}".encode())
    kind, _ = _authentication(connection)
    if kind == _SASL_FINAL:
        _authentication(connection)


def _authentication(connection: socket.socket) -> tuple[int, bytes]:
    kind, body = _receive(connection)
    if kind != b"R" or len(body) < 4:  # noqa: PLR2004  # the number of a way to log in
        raise UntriedError("answers, but not as Postgres does")
    return struct.unpack("!I", body[:4])[0], body[4:]


def _send(connection: socket.socket, kind: bytes, body: bytes) -> None:
    connection.sendall(kind + struct.pack("!I", len(body) + 4) + body)


def _receive(connection: socket.socket) -> tuple[bytes, bytes]:
    kind, length = struct.unpack("!cI", _read(connection, 5))
    if not 4 <= length <= _LONGEST:  # noqa: PLR2004  # the length counts itself
        raise UntriedError("answers, but not as Postgres does")
    body = _read(connection, length - 4)
    if kind == b"E":
        fields = {part[:1]: part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
        raise RefusedError(fields.get(b"C", ""), fields.get(b"M", ""))
    return kind, body


def _read(connection: socket.socket, count: int) -> bytes:
    got = b""
    while len(got) < count:
        more = connection.recv(count - len(got))
        if not more:
            raise ConnectionResetError("it hung up")
        got += more
    return got
