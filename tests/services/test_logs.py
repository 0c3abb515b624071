from __future__ import annotations

import asyncio
import io
import json
import logging
import subprocess
import sys
from collections.abc import Iterator

import asyncpg
import pytest

from services.logs import JsonFormatter, TurnHandler, adopt_request_id, describe, request_id, resume_request, say

logger = logging.getLogger(__name__)


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


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Let our own handler be the only one, of a stream that can be looked at."""
    stream, root = io.StringIO(), logging.root
    before = root.handlers[:], root.level
    root.handlers[:] = [TurnHandler(stream, JsonFormatter("auth"))]
    root.setLevel(logging.INFO)
    yield stream
    root.handlers[:] = before[0]
    root.setLevel(before[1])


def messages(stream: io.StringIO) -> list[str]:
    """Return what has been written."""
    return [json.loads(line)["message"] for line in stream.getvalue().splitlines()]


async def test_what_a_turn_of_the_loop_logs_is_written_when_it_is_over(written: io.StringIO) -> None:
    """In its order, and in one piece."""
    writes: list[str] = []
    write = written.write

    def count(text: str) -> int:
        writes.append(text)
        return write(text)

    written.write = count  # type: ignore[method-assign]
    logger.info("one")
    say(logger, logging.INFO, "two", {})
    assert messages(written) == []
    await asyncio.sleep(0)

    assert messages(written) == ["one", "two"]
    assert len(writes) == 1
    logger.info("three")
    await asyncio.sleep(0)
    assert messages(written) == ["one", "two", "three"]


async def test_a_warning_waits_for_nothing_and_stands_behind_what_was_said_before(written: io.StringIO) -> None:
    """A process may end after it."""
    logger.info("before")
    logger.warning("at once")

    assert messages(written) == ["before", "at once"]


def test_without_a_loop_a_line_is_written_at_once(written: io.StringIO) -> None:
    """Also where another loop has ended before it wrote what was said in it."""
    logger.info("alone")
    assert messages(written) == ["alone"]

    def end(loop: asyncio.AbstractEventLoop) -> None:
        loop.stop()
        logger.info("last")

    with asyncio.Runner() as runner:
        loop = runner.get_loop()
        loop.call_soon(end, loop)
        loop.run_forever()
        assert messages(written) == ["alone"]
        # It will have no turn any more, or who knows when.
        logger.info("after")
    assert messages(written) == ["alone", "last", "after"]


async def test_another_thread_writes_at_once(written: io.StringIO) -> None:
    """No turn of ours is to wait for it."""
    logger.info("ours")
    await asyncio.to_thread(logger.info, "theirs")

    assert messages(written) == ["ours", "theirs"]


def test_what_has_no_record_has_the_same_line(written: io.StringIO) -> None:
    """And is as quiet as its logger."""
    adopt_request_id("abcdef-123456")
    fields = {"path": "/login", "status": 200}
    logger.info("request", extra={"fields": fields})
    say(logger, logging.INFO, "request", fields)
    say(logger, logging.DEBUG, "request", fields)

    first, second = map(json.loads, written.getvalue().splitlines())
    assert first.pop("time")[:16] == second.pop("time")[:16]
    assert first == second
    assert first["request_id"] == "abcdef-123456"


def test_where_somebody_else_listens_too_there_is_a_record(
    written: io.StringIO, caplog: pytest.LogCaptureFixture
) -> None:
    """Everybody has what was said then, once."""
    logging.root.addHandler(caplog.handler)
    say(logger, logging.INFO, "request", {"status": 200})

    assert [(one.getMessage(), one.__dict__["fields"]) for one in caplog.records] == [("request", {"status": 200})]
    assert messages(written) == ["request"]


@pytest.mark.parametrize("broken", [OSError("no space left"), ValueError("I/O operation on closed file")])
async def test_a_log_that_cannot_be_written_stops_nobody(written: io.StringIO, broken: Exception) -> None:
    """Neither who speaks nor the loop; what was said meanwhile is lost, and nothing after it."""
    failures: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, context: failures.append(context))

    def fail(_text: str) -> int:
        raise broken

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(written, "write", fail)
        say(logger, logging.INFO, "lost", {})
        await asyncio.sleep(0)
        logger.warning("lost too")
    logger.warning("there again")

    assert failures == []
    assert messages(written) == ["there again"]


def test_what_was_said_last_is_written_at_the_end_of_the_process() -> None:
    """Though its loop had no turn more."""
    code = (
        "import asyncio, logging; from services.logs import configure_logging\n"
        "configure_logging('auth', 'info')\n"
        "def end(loop):\n"
        "    loop.stop(); logging.info('last')\n"
        "loop = asyncio.new_event_loop(); loop.call_soon(end, loop)\n"
        "loop.run_forever(); loop.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)

    assert '"message":"last"' in done.stderr
