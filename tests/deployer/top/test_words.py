"""What a pod says of itself is shown, and gives a terminal no orders."""

from __future__ import annotations

import json

from deployer.top.watch import parse_readiness
from deployer.top.words import MOST, plain


def test_a_text_is_one_line_of_signs_and_has_an_end() -> None:
    assert plain("no answer\n  in\ttime") == "no answer in time"
    assert plain("\x1b[2Jgone\x07\u202e") == "[2Jgone"
    assert plain("x" * MOST) == "x" * MOST
    assert plain("x" * 10_000) == "x" * (MOST - 1) + "…"


def test_a_readiness_cannot_clear_the_screen() -> None:
    text = json.dumps({"checks": {"\x1bdatabase": "failing: \x1b[2J\nall is lost"}})

    assert parse_readiness(text) == {"database": "failing: [2J all is lost"}
