from __future__ import annotations

import asyncio
import json
import logging
import sys

import asyncpg
import pytest

from services.logs import JsonFormatter, adopt_request_id, describe, request_id, resume_request


def record(message: str, **fields: object) -> logging.LogRecord:
    """Make a record as logger.info(…, extra={"fields": …}) does."""
    made = logging.LogRecord("services", logging.INFO, __file__, 1, message, None, None)
    made.__dict__["fields"] = fields
    return made


@pytest.mark.parametrize("offered", [None, "", "short", "x" * 65, 'id"}\n{"forged":1', "naïve-id-00"])
def test_an_id_that_could_forge_a_line_is_replaced(offered: str | None) -> None:
    """Only letters, digits, _ and - come in from outside."""
    adopted = adopt_request_id(offered)

    assert adopted != offered
    assert len(adopted) == 16


def test_a_line_is_one_json_object_with_the_requests_id() -> None:
    """A text with line breaks stays one line."""
    adopt_request_id("abcdef-123456")
    line = JsonFormatter("auth").format(record("two\nlines", port="public", odd=object()))

    assert "\n" not in line
    read = json.loads(line)
    assert (read["service"], read["message"], read["request_id"]) == ("auth", "two\nlines", request_id())
    assert (read["level"], read["port"]) == ("info", "public")


async def test_a_task_can_go_on_under_the_id_of_a_request_that_is_over() -> None:
    """Its own lines have it, and nobody else's."""
    adopt_request_id("abcdef-123456")

    async def work() -> str:
        resume_request("0123456789")
        return request_id()

    assert await asyncio.create_task(work()) == "0123456789"
    assert request_id() == "abcdef-123456"


def violation() -> asyncpg.CheckViolationError:
    """Make an error as Postgres sends it, with the row in its detail."""
    error = asyncpg.CheckViolationError('new row for relation "messages" violates check constraint "no"')
    error.detail = "Failing row contains (1, hunter2)."
    return error


@pytest.mark.parametrize(
    ("error", "described"),
    [
        (violation(), "CheckViolationError: new row for relation […]"),
        (
            asyncpg.DataError("invalid input for query argument $2: 'it's hunter2' (expected str)"),
            "DataError: invalid input for query argument $2: […] […]",
        ),
        (OSError("cannot reach postgres://me:hunter2@db/x"), "OSError: cannot reach postgres://[…]@db/x"),
        (ValueError("refused Bearer hunter2-and-more"), "ValueError: refused Bearer […]"),
        (ValueError("token eyJhbGciOiJFZERTQSJ9.e30.hunter2"), "ValueError: token […]"),
        (ValueError("first line\nhunter2"), "ValueError: first line"),
        (KeyError("hunter2"), "KeyError: […]"),
        (TimeoutError(), "TimeoutError"),
    ],
)
def test_an_exception_is_described_without_what_it_quotes(error: Exception, described: str) -> None:
    """The type and the place are what helps; a value is what must not be there."""
    assert describe(error) == described


def test_a_line_has_each_cause_with_its_place_and_no_value() -> None:
    """The cause comes first, as Python tells it."""
    word = "hunter2"

    def fail() -> None:
        try:
            raise violation()
        except asyncpg.PostgresError as error:
            raise RuntimeError(f"{word!r} cannot be stored") from error

    made = record("a request failed")
    try:
        fail()
    except RuntimeError:
        made.exc_info = sys.exc_info()
    told = json.loads(JsonFormatter("auth").format(made))["exception"]

    assert "hunter2" not in told
    assert told.index("CheckViolationError: ") < told.index("which led to") < told.index("RuntimeError: […]")
    assert told.count("test_logs.py") == 3


def test_whatever_looks_like_a_secret_is_blotted_out_of_any_line() -> None:
    """Also where it stands in a field of somebody's."""
    token = "eyJhbGciOiJFZERTQSJ9.eyJpZCI6N30.c2lnbmF0dXJl"
    line = JsonFormatter("auth").format(
        record(f"got {token}", url="postgres://me:pa:ss@db/x", header=f"Bearer {token}")
    )

    assert "me:pa:ss" not in line
    assert "eyJ" not in line
    assert json.loads(line)["url"] == "postgres://[…]@db/x"
