"""Name what the notifications service's applications hold."""

from __future__ import annotations

from aiohttp import web

from services.notifications.pusher import Pusher
from services.notifications.store import Store

STORE = web.AppKey("store", Store)
PUSHER = web.AppKey("pusher", Pusher)
