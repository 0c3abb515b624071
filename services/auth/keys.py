"""Name what the auth service's application holds."""

from __future__ import annotations

from aiohttp import web

from services.auth.accounts import Accounts
from services.auth.sessions import Sessions
from services.peers import Peer

SESSIONS = web.AppKey("sessions", Sessions)
ACCOUNTS = web.AppKey("accounts", Accounts)
# The chat service's public port.
CHAT = web.AppKey("chat", Peer)
