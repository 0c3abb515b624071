from __future__ import annotations

import re
from dataclasses import fields, replace
from typing import Any

import pytest

from services.port_settings import ConnectionSettings, RateSettings, load_connections, load_rates
from services.settings import Source, load_server
from tests.services.processes import ROOT

OPERATIONS = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
NAMES = {
    "MAX_CONNECTIONS": "most",
    "MAX_WAITING_CONNECTIONS": "most_waiting",
    "HEAD_SECONDS": "head_seconds",
    "BODY_SECONDS": "body_seconds",
    **{f"RATE_{field.name.upper()}": field.name for field in fields(RateSettings)},
}
NAMES["RATE_MAX_KEYS"] = NAMES.pop("RATE_MOST_KEYS")


@pytest.mark.parametrize(("name", "attribute"), NAMES.items())
def test_each_limit_is_a_setting_with_the_documented_default(name: str, attribute: str) -> None:
    """It is read, it has a safe default, and docs/operations.md says which."""
    source = Source({f"STAMPCHAT_{name}": "7"})
    usual: Any = RateSettings() if name.startswith("RATE_") else ConnectionSettings()
    read = load_rates(source) if name.startswith("RATE_") else load_connections(source)

    assert read == replace(usual, **{attribute: 7})
    assert (source.problems, source.unread()) == ([], ())
    (row,) = [line for line in OPERATIONS.splitlines() if f"`{name}`" in line]
    assert re.search(rf"\b{int(getattr(usual, attribute))}\b", row)


@pytest.mark.parametrize("value", ["0", "-1", "many", "1000000000"])
def test_a_limit_that_is_none_or_not_a_number_is_a_problem(value: str) -> None:
    """Nobody turns a limit off by a slip."""
    source = Source({f"STAMPCHAT_{name}": value for name in NAMES})
    load_server(source, public_port=1, internal_port=2)

    assert len(source.problems) == len(NAMES)
