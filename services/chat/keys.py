"""Name what the chat service's applications hold."""

from __future__ import annotations

from aiohttp import web

from services.chat.chat import Chat
from services.chat.settings import ChatSettings
from services.chat.socket import Sockets
from services.chat.store import Store

SETTINGS = web.AppKey("settings", ChatSettings)
STORE = web.AppKey("store", Store)
CHAT = web.AppKey("chat", Chat)
SOCKETS = web.AppKey("sockets", Sockets)
