"""Read what a request for a websocket says of the client: its serializer, its subprotocols, its token."""

from __future__ import annotations

import base64
import binascii
import hashlib
from contextlib import suppress

import msgspec
from aiohttp import hdrs
from aiohttp.http import WS_KEY
from multidict import MultiMapping

from services.chat.errors import ProtocolError
from services.chat.protocol import Version, parse_version
from services.errors import Malformed

SUBPROTOCOL = "phoenix"
# phoenix.js hands its authToken over as a second subprotocol of this form.
TOKEN_PREFIX = "base64url.bearer.phx."  # noqa: S105  # where a token follows, and none itself


class Handshake(msgspec.Struct, frozen=True):
    """Say who asks for a socket, and how they speak.

    Attributes:
        version: the serializer.
        subprotocols: those that are agreed on.
        token: as it came; empty without one.
        origin: the web page, if it is one.
    """

    version: Version
    subprotocols: tuple[str, ...]
    token: str
    origin: str | None


def read_handshake(headers: MultiMapping[str], query: MultiMapping[str]) -> Handshake:
    """Read what aiohttp has parsed.

    Args:
        headers: of the request, whatever the case of their names.
        query: of its address, with nothing quoted in it any more.

    Raises:
        Malformed: it is no handshake that we can take.
    """
    if headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise Malformed("This path speaks websocket only.", code="no_upgrade")
    try:
        version = parse_version(query.get("vsn", ""))
    except ProtocolError as error:
        raise Malformed(str(error), code="bad_version") from error
    protocols = ",".join(headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
    offered = [part.strip() for part in protocols.split(",") if part.strip()]
    # aiohttp would log what is offered where none of it is ours, and that may be a token.
    if offered and SUBPROTOCOL not in offered:
        raise Malformed(f"The subprotocol must be {SUBPROTOCOL}.", code="bad_subprotocol")
    token = query.get("token", "") or _offered_token(offered)
    return Handshake(version, (SUBPROTOCOL,) if offered else (), token, headers.get(hdrs.ORIGIN))


def make_answer(key: str, subprotocol: str | None) -> bytes:
    """Return the head that agrees to a socket (RFC 6455, section 4.2.2).

    Args:
        key: of the client's head.
        subprotocol: what is agreed on, if anything.
    """
    accepted = base64.b64encode(hashlib.sha1(key.encode() + WS_KEY, usedforsecurity=False).digest()).decode()
    agreed = f"Sec-WebSocket-Protocol: {subprotocol}\r\n" if subprotocol else ""
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accepted}\r\n{agreed}\r\n"
    ).encode()


def _offered_token(offered: list[str]) -> str:
    """Read the token out of phoenix.js's second subprotocol; its padding is cut off."""
    for part in offered:
        if part.startswith(TOKEN_PREFIX):
            encoded = part.removeprefix(TOKEN_PREFIX).replace("+", "-").replace("/", "_")
            with suppress(binascii.Error, ValueError):
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    return ""
