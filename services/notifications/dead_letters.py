"""List what was given up, and send it again when a person has mended the cause: over HTTP, and by a command in the pod.

A row names its device by the last characters of its token, which send nothing to anybody, and never shows the text.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
from aiohttp import web

from services.clock import iso
from services.database import Database, open_database
from services.errors import Invalid, RequestError
from services.settings import DatabaseSettings, Source, load_database
from services.web import json_response, read_json

PAGE_ROWS = 50
MAX_PAGE_ROWS = 500
MAX_IDS = 1000
MAX_ID = (1 << 63) - 1
# All of them go in pieces of so many, none of which holds its locks for long.
RETRY_ROWS = 1000
USAGE = "usage: python -m services.notifications dead-letters list [AFTER_ID] | retry ID… | retry --all\n"
EXIT_FAILED = 1
EXIT_MISUSED = 2

_LIST = """
SELECT id, key, collapse_key, right(fcm_token, 6) AS device, reason, attempts, inserted_at, done_at
FROM deliveries WHERE state = 'dead' AND id > $1 ORDER BY id LIMIT $2
"""
# It begins anew, with as long to live as it had at first.
_RETRY = """
WITH chosen AS MATERIALIZED (
  SELECT id FROM deliveries WHERE state = 'dead' AND ($1::bigint[] IS NULL OR id = ANY($1)) AND id > $2
  ORDER BY id LIMIT $3 FOR UPDATE SKIP LOCKED
)
UPDATE deliveries d SET state = 'waiting', attempts = 0, due_at = now(), done_at = NULL, reason = '',
  expires_at = now() + (d.expires_at - d.inserted_at), inserted_at = now()
FROM chosen WHERE d.id = chosen.id
RETURNING d.id
"""


class RetryRequest(msgspec.Struct):
    """Be the body of POST /internal/dead-letters/retry: some, or all."""

    ids: Annotated[list[Annotated[int, msgspec.Meta(ge=1, le=MAX_ID)]], msgspec.Meta(max_length=MAX_IDS)] | None = None
    all: bool = False


class DeadLetters:
    """Read and revive what was given up.

    Args:
        database: where it is.
        wake: called when there is something to send.
    """

    def __init__(self, database: Database, wake: Callable[[], None]) -> None:
        self._database = database
        self._wake = wake

    async def list(self, after: int, most: int) -> dict[str, Any]:
        """Return a page, oldest first, and the id after which the next one begins."""
        async with self._database.connection() as connection:
            rows = await connection.fetch(_LIST, after, most)
        found = [{**dict(row), "inserted_at": iso(row["inserted_at"]), "done_at": iso(row["done_at"])} for row in rows]
        return {"dead_letters": found, "next": rows[-1]["id"] if len(rows) == most else None}

    async def retry(self, ids: Sequence[int] | None) -> int:
        """Let some, or all of today, be sent again; return how many."""
        count, last = 0, 0
        while True:
            async with self._database.connection() as connection:
                rows = await connection.fetch(_RETRY, None if ids is None else [*ids], last, RETRY_ROWS)
            count += len(rows)
            if len(rows) < RETRY_ROWS:
                break
            # What fails again meanwhile stays where it is.
            last = max(row["id"] for row in rows)
        if count:
            self._wake()
        return count


DEAD_LETTERS = web.AppKey("dead_letters", DeadLetters)


def add_dead_letter_routes(app: web.Application) -> None:
    """Add what whoever operates us calls on the internal port; the application holds DEAD_LETTERS."""
    app.router.add_get("/internal/dead-letters", list_dead_letters)
    app.router.add_post("/internal/dead-letters/retry", retry_dead_letters)


async def list_dead_letters(request: web.Request) -> web.Response:
    """Answer with a page of what was given up."""
    after = _parameter(request, "after", 0, least=0, most=MAX_ID)
    most = _parameter(request, "limit", PAGE_ROWS, least=1, most=MAX_PAGE_ROWS)
    return json_response(await request.app[DEAD_LETTERS].list(after, most))


async def retry_dead_letters(request: web.Request) -> web.Response:
    """Send some of it, or all of it, again."""
    body = await read_json(request, RetryRequest)
    if body.all == (body.ids is not None):
        raise Invalid("The body must hold either ids, or all as true.")
    return json_response({"retried": await request.app[DEAD_LETTERS].retry(body.ids)})


def run_command(source: Source, arguments: Sequence[str]) -> int:
    """Run `dead-letters list|retry` on the service's database; the workers notice within a moment.

    Args:
        source: the service's settings.
        arguments: what follows "dead-letters".

    Returns:
        The exit code.
    """
    match list(arguments):
        case ["list"]:
            after, ids = 0, None
        case ["list", number] if _is_id(number):
            after, ids = int(number), None
        case ["retry", "--all"]:
            after, ids = -1, None
        case ["retry", *numbers] if numbers and all(_is_id(number) for number in numbers):
            after, ids = -1, [int(number) for number in numbers]
        case _:
            sys.stderr.write(USAGE)
            return EXIT_MISUSED
    database = load_database(source)
    source.finish()
    try:
        asyncio.run(_list(database, after) if after >= 0 else _retry(database, ids))
    except RequestError as error:
        sys.stderr.write(f"services.notifications: {error.message}\n")
        return EXIT_FAILED
    return 0


async def _list(settings: DatabaseSettings, after: int) -> None:
    async with open_database(settings) as database:
        page = await DeadLetters(database, _nobody).list(after, MAX_PAGE_ROWS)
    for row in page["dead_letters"]:
        sys.stdout.write(msgspec.json.encode(row).decode() + "\n")
    if page["next"] is not None:
        sys.stderr.write(f"There are more: dead-letters list {page['next']}\n")


async def _retry(settings: DatabaseSettings, ids: Sequence[int] | None) -> None:
    async with open_database(settings) as database:
        count = await DeadLetters(database, _nobody).retry(ids)
    sys.stdout.write(f"{count} to be sent again\n")


def _nobody() -> None:
    """Wake nobody: the workers are in another process."""


def _is_id(word: str) -> bool:
    return word.isascii() and word.isdigit() and int(word) <= MAX_ID


def _parameter(request: web.Request, name: str, default: int, *, least: int, most: int) -> int:
    word = request.query.get(name, str(default))
    if not (_is_id(word) and least <= int(word) <= most):
        raise Invalid(f"The parameter {name} must be a number from {least} to {most}.")
    return int(word)
