"""Name what the auth service's application holds."""

from __future__ import annotations

from aiohttp import web

from services.auth.sessions import Sessions
from services.peers import Peer

SESSIONS = web.AppKey("sessions", Sessions)
# The chat service's public port.
CHAT = web.AppKey("chat", Peer)
