"""Let a person not hear another any more; the other learns nothing of it."""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime

import msgspec
from aiohttp import web

from services.chat.bus import Mute, Note
from services.chat.extensions import Extension, Joined
from services.chat.features import sql
from services.chat.features.doors import Pace
from services.chat.models import User, user_from
from services.chat.names import room_topic
from services.chat.routes import Success, path_id
from services.chat.store import MAX_ID, Store
from services.database import Connection, Database
from services.errors import Conflict, Invalid, NotFound
from services.openapi import Operation
from services.web import Line, authenticate, json_response, read_json

# A join takes milliseconds, and so many people do not block somebody meanwhile.
MOST_RECENT = 1000


class NewBlock(msgspec.Struct):
    """Be the body of POST /blocks: one of the two."""

    user_id: int | None = None
    identity: Line | None = None


class Block(msgspec.Struct):
    """Say whom the caller does not hear, and since when."""

    inserted_at: datetime
    user: User


class BlocksAnswer(msgspec.Struct):
    """Be the answer of GET /blocks."""

    data: list[Block]


class Blocks(Extension):
    """Know who does not hear whom.

    Pages, replays, lists, unread counts and pushes ask the database; this keeps the live sockets in step with it.

    Args:
        database: where it is kept.
        store: finds places in rooms.
        publish: takes notes for rooms.
        pace: of one person.
        most: people whom one person may block.
    """

    def __init__(
        self, database: Database, store: Store, publish: Callable[[Note], None], pace: Pace, *, most: int
    ) -> None:
        self._database = database
        self._store = store
        self._publish = publish
        self._pace = pace
        self._most = most
        self._recent: OrderedDict[str, None] = OrderedDict()
        # What was read first must not be said last.
        self._lock = asyncio.Lock()

    async def block(self, identity: str, user_id: int | None, other: str | None) -> None:
        """Hear somebody no more, from this moment on; again changes nothing.

        Args:
            identity: who asks.
            user_id: whom they mean, by id,
            other: or by identity.

        Raises:
            NotAuthenticated: nobody has this identity here.
            NotFound: they have met no such person.
            Conflict: they mean themselves, or have blocked too many.
            TooManyRequests: too often.
        """
        self._pace.check(identity)
        async with self._database.transaction() as connection:
            me = await Store.find_user(connection, identity)
            them = await _find_met(connection, me.id, user_id, other)
            if them.id == me.id:
                raise Conflict("Nobody can block themselves.", code="yourself")
            if await connection.fetchval(sql.COUNT_BLOCKS, me.id) >= self._most:
                raise Conflict(f"Nobody can block more than {self._most} people.", code="too_many_blocks")
            await connection.execute(sql.ADD_BLOCK, me.id, them.id)
        await self._spread(identity, them.id)

    async def unblock(self, identity: str, user_id: int) -> None:
        """Hear somebody again; what they said meanwhile is in the history.

        Raises:
            NotAuthenticated: nobody has this identity here.
            NotFound: they are not blocked.
            TooManyRequests: too often.
        """
        self._pace.check(identity)
        async with self._database.connection() as connection:
            me = await Store.find_user(connection, identity)
            status = await connection.execute(sql.DELETE_BLOCK, me.id, user_id)
        if status != "DELETE 1":
            raise NotFound("There is no such block.")
        await self._spread(identity, user_id)

    async def blocked(self, identity: str) -> list[Block]:
        """Return whom somebody does not hear, the latest first.

        Raises:
            NotAuthenticated: nobody has this identity here.
        """
        async with self._database.connection() as connection:
            me = await Store.find_user(connection, identity)
            rows = await connection.fetch(sql.LIST_BLOCKS, me.id)
        return [Block(row["blocked_at"], user_from(row)) for row in rows]

    async def joined(self, joined: Joined) -> None:
        """Spare a channel those whom its person has blocked; what its seat says of that may be a moment old."""
        muted = joined.seat.muted
        if joined.identity in self._recent:
            with contextlib.suppress(NotFound):
                muted = (await self._store.find_place(joined.identity, joined.seat.channel_id)).seat.muted
        joined.mute(muted)

    async def _spread(self, identity: str, user_id: int) -> None:
        """Tell the rooms that two people share whom the one of them hears."""
        self._recent[identity] = None
        self._recent.move_to_end(identity)
        if len(self._recent) > MOST_RECENT:
            self._recent.popitem(last=False)
        async with self._lock:
            async with self._database.connection() as connection:
                rows = await connection.fetch(sql.MUTED_WITH, identity, user_id)
            for row in rows:
                if row["topic"] is not None:
                    self._publish(Mute(room_topic(row["topic"]), identity, frozenset(row["muted"])))


async def _find_met(connection: Connection, me: int, user_id: int | None, identity: str | None) -> User:
    known = user_id if user_id is not None and 0 < user_id <= MAX_ID else None
    row = await connection.fetchrow(sql.FIND_MET, me, known, identity)
    if row is None:
        raise NotFound("There is no such person.")
    return user_from(row)


BLOCKS = web.AppKey("blocks", Blocks)
OPERATIONS = (
    Operation("get", "/blocks", "List the people whom the caller has blocked.", BlocksAnswer, bearer=True),
    Operation(
        "post",
        "/blocks",
        "Block somebody with whom the caller is, or was, in a channel.",
        Success,
        body=NewBlock,
        bearer=True,
        errors=(400, 404, 409, 413, 422, 429),
    ),
    Operation("delete", "/blocks/{user_id}", "Lift a block.", Success, bearer=True, errors=(404, 429)),
)


def add_routes(app: web.Application) -> None:
    """Add the calls; the application holds BLOCKS."""
    app.router.add_get("/blocks", list_blocks)
    app.router.add_post("/blocks", block)
    app.router.add_delete("/blocks/{user_id}", unblock)


async def list_blocks(request: web.Request) -> web.Response:
    """List the caller's blocks."""
    claims = authenticate(request)
    return json_response(BlocksAnswer(await request.app[BLOCKS].blocked(claims.identity)))


async def block(request: web.Request) -> web.Response:
    """Block somebody."""
    claims = authenticate(request)
    body = await read_json(request, NewBlock)
    if (body.user_id is None) == (body.identity is None):
        raise Invalid("The body does not fit: it must have user_id or identity.")
    await request.app[BLOCKS].block(claims.identity, body.user_id, body.identity)
    return json_response(Success())


async def unblock(request: web.Request) -> web.Response:
    """Lift a block."""
    claims = authenticate(request)
    await request.app[BLOCKS].unblock(claims.identity, path_id(request, "user_id"))
    return json_response(Success())
