"""Write one JSON object a line, with the request's id and its trace's in each, and no secret in any.

Nothing of ours hands a secret to the log. What others raise is another matter: Postgres quotes the row that broke a
rule, an HTTP client its address. So of an exception the log has the place, the type, and the text without what is
quoted in it; and whatever looks like a token or an address with a password is blotted out of every line.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
import re
import secrets
import sys
import time
import traceback
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, TextIO

import msgspec

from services import tracing

REQUEST_ID_HEADER = "X-Request-ID"
# What another service or a client may hand us; anything else could forge log lines.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
# A JWT; the password of an address; what follows the name of the scheme in a header.
_SECRETS = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]*|(?<=://)[^/@\s\"\\]+(?=@)|(?<=[Bb]earer )[^\s\"'\\]{8,}")
# The longest quotation: Postgres may quote a text that has quotation marks in it.
_QUOTED = re.compile(r"'.*'|\".*\"|“.*”|\(.*\)", re.DOTALL)
_BLOT = "[…]"
# How far a chain of causes is followed.
_MOST_CAUSES = 8
_current: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def adopt_request_id(offered: str | None) -> str:
    """Take a request's id from its header, or make one, and keep it for all that this task logs and calls."""
    fits = offered is not None and _REQUEST_ID.fullmatch(offered) is not None
    request_id = offered if fits and offered else secrets.token_hex(8)
    _current.set(request_id)
    return request_id


def resume_request(request_id: str) -> None:
    """Log from now on, in this task, under a request's id that was adopted elsewhere."""
    _current.set(request_id)


def request_id() -> str:
    """Return the id of the request that this task serves, or nothing."""
    return _current.get()


class JsonFormatter(logging.Formatter):
    """Format a record as one line of JSON; extra={"fields": {…}} adds names of its own.

    Args:
        service: who speaks.
    """

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        exception = self.formatException(record.exc_info) if record.exc_info else ""
        fields = getattr(record, "fields", {})
        return self.line(record.created, record.levelname, record.getMessage(), fields, exception)

    def line(self, created: float, level: str, message: str, fields: Mapping[str, Any], exception: str = "") -> str:
        """Return the line of what somebody says now.

        Args:
            created: when, in seconds since 1970.
            level: its name.
            message: what is said.
            fields: names of its own.
            exception: what was raised, if anything.
        """
        line: dict[str, Any] = {
            "time": datetime.fromtimestamp(created, UTC).isoformat(timespec="milliseconds"),
            "level": level.lower(),
            "service": self._service,
            "message": message,
        }
        if current := request_id():
            line["request_id"] = current
        if trace := tracing.trace_id():
            line["trace_id"] = trace
        line.update(fields)
        if exception:
            line["exception"] = exception
        return _blot(msgspec.json.encode(line, enc_hook=str).decode("utf-8", errors="replace"))

    def formatException(self, ei: Any) -> str:  # noqa: N802  # logging's name
        """Return where an exception was raised, and describe() of it and of its causes."""
        causes = list(_causes(ei[1]))
        return "\nwhich led to\n".join(
            "".join(traceback.format_tb(error.__traceback__)) + describe(error) for error in reversed(causes)
        )


def describe(error: BaseException) -> str:
    """Name an exception by its type and its text, without what is quoted in that.

    Args:
        error: whatever was raised, by whomever.
    """
    lines = str(error).splitlines()
    # Behind its first line Postgres tells the row or the value; an error of our own has one line.
    text = _QUOTED.sub(_BLOT, lines[0]) if lines else ""
    name = type(error).__name__
    return f"{name}: {_blot(text)}" if text else name


def _blot(text: str) -> str:
    """Blot out secrets; each has one of these in it, and nearly no line does."""
    return _SECRETS.sub(_BLOT, text) if "eyJ" in text or "://" in text or "earer " in text else text


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(_MOST_CAUSES):
        if error is None:
            return
        yield error
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        else:
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


class TurnHandler(logging.StreamHandler[TextIO]):
    """Write what a turn of the event loop has logged in one piece when the turn is over.

    After a restart every connect has a line, and a write for each was a good part of it. A warning, and what is worse,
    is written at once, behind all that was said before it; so is everything where no loop runs.
    """

    def __init__(self, stream: TextIO, formatter: JsonFormatter) -> None:
        super().__init__(stream)
        self.setFormatter(formatter)
        self._json = formatter
        self._lines: list[str] = []
        # Whose turn is waited for.
        self._loop: asyncio.AbstractEventLoop | None = None

    def emit(self, record: logging.LogRecord) -> None:
        """Take a record."""
        try:
            self._put(self.format(record), record.levelno)
        except Exception:  # noqa: BLE001  # as logging's own handlers do
            self.handleError(record)

    def say(self, level: int, message: str, fields: Mapping[str, Any]) -> None:
        """Take what has no record."""
        line = self._json.line(time.time(), logging.getLevelName(level), message, fields)
        self.acquire()
        try:
            self._put(line, level)
        finally:
            self.release()

    def flush(self) -> None:
        """Write what has gathered; a log that cannot be written any more stops nobody."""
        self.acquire()
        try:
            self._loop = None
            with suppress(OSError, ValueError):
                if self._lines:
                    text, self._lines = "\n".join((*self._lines, "")), []
                    self.stream.write(text)
                super().flush()
        finally:
            self.release()

    def _put(self, line: str, level: int) -> None:
        self._lines.append(line)
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            loop = None
        if loop is None or level >= logging.WARNING:
            self.flush()
        elif loop is not self._loop:
            self._loop = loop
            loop.call_soon(self.flush)


def say(logger: logging.Logger, level: int, message: str, fields: Mapping[str, Any]) -> None:
    """Log as logger.log(level, message, extra={"fields": fields}) does, for what is said with each request.

    Where nobody but our own handler would see the record, none is made: that takes as long as all the rest.
    """
    if logger.isEnabledFor(level):
        handlers = logging.root.handlers
        if len(handlers) == 1 and isinstance(handlers[0], TurnHandler):
            handlers[0].say(level, message, fields)
        else:
            logger.log(level, message, extra={"fields": fields})


def configure_logging(service: str, level: str) -> None:
    """Send everything to stderr as JSON lines; the access log is our own, in services.web."""
    handler = TurnHandler(sys.stderr, JsonFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # What no line of ours says need not be found out for each (https://docs.python.org/3/howto/logging.html#optimization).
    logging._srcfile = None  # noqa: SLF001  # so the documentation has it
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    sys.excepthook = _log_crash
    # At info these name every statement and URL, and a URL can hold a token.
    for chatty in ("aiohttp.access", "asyncio", "google.auth", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


def _log_crash(kind: type[BaseException], error: BaseException, trace: Any) -> None:
    logging.getLogger(__name__).critical("the process ends", exc_info=(kind, error, trace))
