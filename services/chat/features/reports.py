"""Take reports of messages and of people, and let the operator work them off.

Both app stores ask for it: a way to report, and somebody who acts in time. A report keeps the text as it was, whatever
its author makes of it afterwards.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from datetime import datetime
from typing import Any

import asyncpg
import msgspec
from aiohttp import web
from prometheus_client import CollectorRegistry, Gauge

from services.chat.features import sql
from services.chat.features.doors import Pace, refusing
from services.chat.models import User, user_from
from services.chat.names import parse_text
from services.chat.routes import Success, path_id
from services.chat.store import MAX_ID
from services.database import Connection, Database
from services.errors import Conflict, Invalid, NotFound, RequestError
from services.openapi import Operation
from services.web import authenticate, json_response, read_json

HOUR = 3600.0
PAGE_SIZE = 100
# Another replica's reports show in this one's metric by then.
COUNT_SECONDS = 60.0

logger = logging.getLogger(__name__)


class NewReport(msgspec.Struct):
    """Be the body of POST /reports: a message, or a person in a channel."""

    reason: str
    message_id: int | None = None
    user_id: int | None = None
    channel_id: int | None = None


class ReportMade(msgspec.Struct):
    """Name a report."""

    id: int


class ReportAnswer(msgspec.Struct):
    """Be the answer of POST /reports."""

    data: ReportMade


class Report(msgspec.Struct):
    """Be what the operator reads."""

    id: int
    inserted_at: datetime
    channel_id: int
    message_id: int | None
    quoted: str | None
    reason: str
    handled_at: datetime | None
    reporter: User
    reported: User


class ReportsAnswer(msgspec.Struct):
    """Be the answer of GET /internal/reports."""

    data: list[Report]


class Reports:
    """Keep reports.

    Args:
        database: where they are kept.
        pace: of one person.
        reason_characters: that a reason may have.
        registry: of the service's metrics.
    """

    def __init__(self, database: Database, pace: Pace, *, reason_characters: int, registry: CollectorRegistry) -> None:
        self._database = database
        self._pace = pace
        self._reason_characters = reason_characters
        self._open = Gauge("stampchat_reports_open", "Reports that nobody has handled.", registry=registry)
        self._counting = asyncio.create_task(self._count_again())

    async def report(self, identity: str, asked: NewReport) -> int:
        """Store a report and return its id; the same one again, while it is open, is the one that there is.

        Raises:
            Refusal: the reason breaks a rule.
            NotFound: the reporter takes no part in the channel, or there is no such message or person in it.
            Conflict: it is their own, or nobody's.
            TooManyRequests: too often.
        """
        reason = parse_text("reason", asked.reason, most=self._reason_characters)
        self._pace.check(identity)
        async with self._database.transaction() as connection:
            about = await _find(connection, identity, asked)
            if about["reported_id"] is None or about["reported_id"] == about["reporter_id"]:
                raise Conflict("Only what another person says or does can be reported.", code="not_reportable")
            keys = (about["reporter_id"], about["reported_id"], about["channel_id"], asked.message_id)
            report_id: int | None = await connection.fetchval(sql.FIND_REPORT, *keys)
            if report_id is None:
                quoted = about["body"] if asked.message_id is not None else None
                report_id = await connection.fetchval(sql.ADD_REPORT, *keys, quoted, reason)
        assert report_id is not None  # noqa: S101  # INSERT … RETURNING without a condition
        await self.count()
        logger.info("reported", extra={"fields": {"report": report_id}})
        return report_id

    async def list_reports(self, after: int, *, is_open: bool) -> list[Report]:
        """Return a page of reports, oldest first.

        Args:
            after: the last one known; 0 for the first page.
            is_open: only those that nobody has handled.
        """
        statement = sql.LIST_OPEN_REPORTS if is_open else sql.LIST_REPORTS
        async with self._database.connection() as connection:
            rows = await connection.fetch(statement, after, PAGE_SIZE)
        return [_report_from(row) for row in rows]

    async def handle(self, report_id: int) -> None:
        """Note that a report is dealt with.

        Raises:
            NotFound: there is no such report.
        """
        async with self._database.connection() as connection:
            if await connection.fetchval(sql.HANDLE_REPORT, report_id) is None:
                raise NotFound("There is no such report.")
        await self.count()

    async def count(self) -> None:
        """Measure how many are open; a database that is away leaves the last count."""
        with contextlib.suppress(RequestError):
            async with self._database.connection() as connection:
                self._open.set(await connection.fetchval(sql.COUNT_OPEN_REPORTS))

    async def close(self) -> None:
        """Count no more."""
        self._counting.cancel()
        await asyncio.wait([self._counting])

    async def _count_again(self) -> None:
        while True:
            try:
                await self.count()
            except asyncpg.PostgresError:
                # Such as a database that is still without its tables.
                logger.warning("reports could not be counted", exc_info=True)
            await asyncio.sleep(COUNT_SECONDS)


async def _find(connection: Connection, identity: str, asked: NewReport) -> asyncpg.Record:
    row = None
    if asked.message_id is not None:
        if 0 < asked.message_id <= MAX_ID:
            row = await connection.fetchrow(sql.REPORT_OF_MESSAGE, identity, asked.message_id)
        fits = row is not None and row["type"] != "chat_info" and asked.channel_id in {None, row["channel_id"]}
        if not fits:
            row = None
    elif asked.channel_id is not None and asked.user_id is not None:
        ids = (asked.channel_id, asked.user_id)
        if all(0 < number <= MAX_ID for number in ids):
            row = await connection.fetchrow(sql.REPORT_OF_PERSON, identity, *ids)
    if row is None:
        raise NotFound("There is nothing of that kind in a channel of yours.")
    return row


def _report_from(row: asyncpg.Record) -> Report:
    names = ("id", "inserted_at", "channel_id", "message_id", "quoted", "reason", "handled_at")
    plain: dict[str, Any] = {name: row[name] for name in names}
    return Report(**plain, reporter=user_from(row, "reporter_"), reported=user_from(row, "reported_"))


REPORTS = web.AppKey("reports", Reports)
OPERATIONS = (
    Operation(
        "post",
        "/reports",
        "Report a message, or a person in a channel, to the operator.",
        ReportAnswer,
        body=NewReport,
        bearer=True,
        errors=(400, 404, 409, 413, 422, 429),
    ),
)


def add_routes(app: web.Application) -> None:
    """Add the call; the application holds REPORTS."""
    app.router.add_post("/reports", make_report)


def add_internal_routes(app: web.Application) -> None:
    """Add what the operator calls; the application holds REPORTS."""
    app.router.add_get("/internal/reports", list_reports)
    app.router.add_post("/internal/reports/{id}/handled", handle_report)


async def make_report(request: web.Request) -> web.Response:
    """Take a report."""
    claims = authenticate(request)
    body = await read_json(request, NewReport)
    if (body.message_id is None) == (body.user_id is None) or (body.user_id is not None and body.channel_id is None):
        raise Invalid("The body does not fit: it must have message_id, or user_id and channel_id.")
    with refusing():
        report_id = await request.app[REPORTS].report(claims.identity, body)
    return json_response(ReportAnswer(ReportMade(report_id)))


async def list_reports(request: web.Request) -> web.Response:
    """List reports for the operator."""
    after = request.query.get("after", "0")
    if not (after.isascii() and after.isdigit() and int(after[:20]) <= MAX_ID):
        raise Invalid("The parameter after must be a report's id.")
    is_open = request.query.get("open", "0") not in {"", "0", "false"}
    return json_response(ReportsAnswer(await request.app[REPORTS].list_reports(int(after[:20]), is_open=is_open)))


async def handle_report(request: web.Request) -> web.Response:
    """Close a report."""
    await request.app[REPORTS].handle(path_id(request))
    return json_response(Success())
