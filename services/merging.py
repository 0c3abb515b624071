"""Take the auth service's word that two people are one: the same internal call in chat and in notifications."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from services.web import Line, json_response, read_json


class MergeRequest(msgspec.Struct):
    """Be the body of POST /internal/users/merge.

    Attributes:
        into: the identity that stays.
        gone: the identity that goes.
    """

    into: Line
    gone: Line = msgspec.field(name="from")


def add_merging_route(app: web.Application, merge: Callable[[str, str], Awaitable[None]]) -> None:
    """Add what the auth service calls.

    Args:
        app: the internal application.
        merge: makes one person of two, given the identity that stays and the one that goes; again is once.
    """

    async def merge_users(request: web.Request) -> web.Response:
        body = await read_json(request, MergeRequest)
        await merge(body.into, body.gone)
        return json_response({"merged": True})

    app.router.add_post("/internal/users/merge", merge_users)
