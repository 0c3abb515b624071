from __future__ import annotations

import json
import logging

import pytest

from services.logs import JsonFormatter, adopt_request_id, request_id


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
