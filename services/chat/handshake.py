"""Read what a request for a websocket says of the client: its serializer, its subprotocols, its token."""

from __future__ import annotations

import base64
import binascii
from contextlib import suppress

from aiohttp import hdrs, web

from services.chat.errors import ProtocolError
from services.chat.protocol import Version, parse_version
from services.errors import Malformed

SUBPROTOCOL = "phoenix"
# phoenix.js hands its authToken over as a second subprotocol of this form.
TOKEN_PREFIX = "base64url.bearer.phx."  # noqa: S105  # where a token follows, and none itself


def read_handshake(request: web.Request) -> tuple[Version, list[str]]:
    """Return the serializer, and the subprotocols that the client offers.

    Raises:
        Malformed: it is no handshake that we can take.
    """
    if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
        raise Malformed("This path speaks websocket only.", code="no_upgrade")
    try:
        version = parse_version(request.query.get("vsn", ""))
    except ProtocolError as error:
        raise Malformed(str(error), code="bad_version") from error
    header = ",".join(request.headers.getall(hdrs.SEC_WEBSOCKET_PROTOCOL, []))
    offered = [part.strip() for part in header.split(",") if part.strip()]
    # aiohttp would log what is offered where none of it is ours, and that may be a token.
    if offered and SUBPROTOCOL not in offered:
        raise Malformed(f"The subprotocol must be {SUBPROTOCOL}.", code="bad_subprotocol")
    return version, offered


def offered_token(offered: list[str]) -> str:
    """Read the token out of phoenix.js's second subprotocol; its padding is cut off."""
    for part in offered:
        if part.startswith(TOKEN_PREFIX):
            encoded = part.removeprefix(TOKEN_PREFIX).replace("+", "-").replace("/", "_")
            with suppress(binascii.Error, ValueError):
                return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    return ""
