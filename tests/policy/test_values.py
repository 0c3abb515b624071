"""How a rule sees what the engine sends."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from policy.values import UnknownValueError, read

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}


def sent(values: dict[str, Any]) -> Struct:
    """Write values as the engine does."""
    struct = Struct()
    struct.update(values)
    return struct


def test_values_are_what_the_program_wrote() -> None:
    values = {"on": True, "count": 2, "part": 0.5, "nothing": None, "name": "auth", "items": [{"deep": ["x"]}]}

    assert read(sent(values)) == values
    assert isinstance(read(sent(values))["count"], int)


def test_a_secret_is_judged_by_what_it_hides() -> None:
    assert read(sent({"data": {**SECRET, "value": {"password": "x"}}})) == {"data": {"password": "x"}}


@pytest.mark.parametrize("unknown", [UNKNOWN, {**SECRET, "value": UNKNOWN}, [UNKNOWN], [["known", UNKNOWN]]])
def test_what_is_not_known_cannot_be_asked_for(unknown: Any) -> None:
    values = read(sent({"known": 1, "later": unknown}))

    assert values.get("known") == 1
    assert set(values) == {"known", "later"}
    with pytest.raises(UnknownValueError, match="later is not known"):
        values.get("later")
