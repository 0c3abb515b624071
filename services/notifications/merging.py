"""Let a person have the devices of another, when the two turn out to be one."""

from __future__ import annotations

import msgspec
from aiohttp import web

from services.database import Database
from services.web import Line, json_response, read_json


class MergeRequest(msgspec.Struct):
    """Be the body of POST /internal/users/merge.

    Attributes:
        into: the identity that stays.
        gone: the identity that goes.
    """

    into: Line
    gone: Line = msgspec.field(name="from")


class Merger:
    """Merge people.

    Args:
        database: where their devices are.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def merge(self, into: str, gone: str) -> None:
        """Move devices, and what waits for them; again is once.

        A device may then stand there twice, and is told once.
        """
        async with self._database.transaction() as connection:
            await connection.execute("UPDATE tokens SET identity = $1 WHERE identity = $2", into, gone)
            await connection.execute("UPDATE deliveries SET identity = $1 WHERE identity = $2", into, gone)


MERGER = web.AppKey("merger", Merger)


def add_merging_route(app: web.Application) -> None:
    """Add what the auth service calls; the application holds a MERGER."""
    app.router.add_post("/internal/users/merge", merge_users)


async def merge_users(request: web.Request) -> web.Response:
    """Make one person of two."""
    body = await read_json(request, MergeRequest)
    await request.app[MERGER].merge(body.into, body.gone)
    return json_response({"merged": True})
