"""Write one JSON object a line, with the request's id and its trace's in each."""

from __future__ import annotations

import contextvars
import logging
import re
import secrets
import sys
from datetime import UTC, datetime
from typing import Any

import msgspec

from services import tracing

REQUEST_ID_HEADER = "X-Request-ID"
# What another service or a client may hand us; anything else could forge log lines.
_REQUEST_ID = re.compile(r"[A-Za-z0-9_-]{8,64}")
_current: contextvars.ContextVar[str] = contextvars.ContextVar("request_id", default="")


def adopt_request_id(offered: str | None) -> str:
    """Take a request's id from its header, or make one, and keep it for all that this task logs and calls."""
    fits = offered is not None and _REQUEST_ID.fullmatch(offered) is not None
    request_id = offered if fits and offered else secrets.token_hex(8)
    _current.set(request_id)
    return request_id


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
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            "time": moment,
            "level": record.levelname.lower(),
            "service": self._service,
            "message": record.getMessage(),
        }
        if current := request_id():
            line["request_id"] = current
        if trace := tracing.trace_id():
            line["trace_id"] = trace
        line.update(getattr(record, "fields", {}))
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return msgspec.json.encode(line, enc_hook=str).decode("utf-8", errors="replace")


def configure_logging(service: str, level: str) -> None:
    """Send everything to stderr as JSON lines; the access log is our own, in services.web."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonFormatter(service))
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    # At info these name every statement and URL, and a URL can hold a token.
    for chatty in ("aiohttp.access", "asyncio", "google.auth", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
