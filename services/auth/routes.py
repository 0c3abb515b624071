"""Answer the public calls of the auth service."""

from __future__ import annotations

from typing import Annotated

import msgspec
from aiohttp import web

from services.auth.keys import ACCOUNTS, CHAT, SESSIONS
from services.errors import BadGateway, PeerUnavailable
from services.tokens import MAX_TOKEN_LENGTH
from services.web import NO_NUL, Line, authenticate, json_response, read_json


class LoginRequest(msgspec.Struct):
    """Be the body of POST /login.

    Attributes:
        auth_provider: who vouches.
        token: what they gave.
    """

    auth_provider: Line = msgspec.field(name="authProvider")
    token: Annotated[str, msgspec.Meta(min_length=1, max_length=MAX_TOKEN_LENGTH, pattern=NO_NUL)]


def add_routes(app: web.Application) -> None:
    """Add what the gateway's prefix /auth/ reaches."""
    app.router.add_get("/test", test)
    app.router.add_get("/test-chat", test_chat)
    app.router.add_post("/login", login)
    app.router.add_post("/refresh", refresh)
    app.router.add_delete("/account", delete_account)


async def test(_request: web.Request) -> web.Response:
    """Say that the service answers."""
    return json_response({"status": "auth ok"})


async def test_chat(request: web.Request) -> web.Response:
    """Say what the chat service's own test answers."""
    try:
        return json_response(await request.app[CHAT].get("/test"))
    except PeerUnavailable as error:
        raise BadGateway("The chat service does not answer.", code="chat_unavailable", retry_after=2) from error


async def login(request: web.Request) -> web.Response:
    """Log somebody in."""
    body = await read_json(request, LoginRequest)
    return json_response(await request.app[SESSIONS].login(body.auth_provider, body.token))


async def refresh(request: web.Request) -> web.Response:
    """Renew the session of the bearer; the body says nothing that the bearer does not."""
    return json_response({"token": await request.app[SESSIONS].refresh(authenticate(request))})


async def delete_account(request: web.Request) -> web.Response:
    """Delete the bearer's account, everywhere; what cannot be done at once is done later."""
    is_done = await request.app[ACCOUNTS].delete(authenticate(request))
    return json_response({"deleted": True, "pending": not is_done})
