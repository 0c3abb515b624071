from __future__ import annotations

import json
from typing import Any

import pytest

from services.notifications.payload import MAX_MESSAGE_BYTES, build_message, cut, trim
from services.notifications.push import Delivery, Payload

DATA = {"click_action": "FLUTTER_NOTIFICATION_CLICK"}


def message(payload: Payload, **changes: Any) -> dict[str, Any]:
    """Build a message and read it."""
    fields = {"collapse_key": "", "badge": None, "seconds_left": 60.5}
    delivery = Delivery(id=1, token="phone", payload=payload, attempts=1, is_registered=True, **{**fields, **changes})
    built: dict[str, Any] = json.loads(build_message(delivery))["message"]
    return built


@pytest.mark.parametrize("character", ["x", "é", "日", "😀", '"', "\\", "\x01", "\ud800"], ids=ascii)
@pytest.mark.parametrize("data", [DATA, {"topic": '"' * 900}], ids=["usual", "long"])
def test_a_long_text_is_cut_between_characters(character: str, data: dict[str, str]) -> None:
    """A payload over 4096 bytes would be refused whole; what can be shown of it is."""
    built = message(trim(character * 200, character * 9000, data), collapse_key="room:1", badge=7)

    size = len(json.dumps({**built, "token": ""}, ensure_ascii=False, separators=(",", ":")).encode())
    assert MAX_MESSAGE_BYTES - 10 < size <= MAX_MESSAGE_BYTES
    shown = "?" if character == "\ud800" else character
    assert set(built["notification"]["body"]) == {shown, "…"}
    assert built["data"] == data


def test_a_short_text_is_whole() -> None:
    """Title, body and data are as they were given."""
    built = message(Payload("Road trip", "Ada: 日😀", DATA))

    assert built["notification"] == {"title": "Road trip", "body": "Ada: 日😀"}
    assert built["data"] == DATA
    assert built["android"] == {"priority": "HIGH", "ttl": "60s"}


def test_a_room_is_one_notification_and_the_badge_is_what_is_unread() -> None:
    """Each platform has words of its own for it."""
    built = message(Payload("Road trip", "Ada: hi"), collapse_key="room:1", badge=3)

    assert built["android"]["collapse_key"] == "room:1"
    assert built["android"]["notification"] == {"tag": "room:1", "notification_count": 3}
    assert built["apns"]["headers"]["apns-collapse-id"] == "room:1"
    assert built["apns"]["payload"]["aps"] == {"thread-id": "room:1", "badge": 3}


def test_a_badge_of_nothing_clears_it() -> None:
    """Apple takes 0 for none; FCM wants no such count for Android."""
    built = message(Payload("Road trip", "Ada: hi"), badge=0)

    assert "notification" not in built["android"]
    assert built["apns"]["payload"]["aps"] == {"badge": 0}


@pytest.mark.parametrize(("most", "expected"), [(9, "日日日"), (8, "日…"), (5, ""), (6, "日…"), (0, "")])
def test_a_cut_shows(most: int, expected: str) -> None:
    """Never half a character, and nothing rather than dots alone."""
    assert cut("日日日", most) == expected
