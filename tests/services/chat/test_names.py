"""Hold topics and texts to their rules."""

from __future__ import annotations

import re
from typing import Any

import pytest

from services.chat.errors import Refusal
from services.chat.names import bare_topic, make_topic, parse_id, parse_text, room_topic


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Road trip", "road_trip"),
        ("A  \t b", "a_b"),
        ("a:b::c", "a_b__c"),
        ("Ünïcode ☕", "ünïcode_☕"),
        ("x" * 255, "x" * 241),
        ("é" * 255, "é" * 120),
    ],
)
def test_a_topic_is_the_name_and_a_random_part(name: str, slug: str) -> None:
    """Lower-case, no white space or colon, eight URL-safe characters, short enough for a binary frame."""
    topic = make_topic(name)

    assert re.fullmatch(re.escape(slug) + "_[A-Za-z0-9_-]{8}", topic)
    assert len(room_topic(topic).encode()) <= 255
    assert bare_topic(room_topic(topic)) == topic


def test_two_rooms_of_one_name_have_two_topics() -> None:
    """Draw the random part each time."""
    assert make_topic("a") != make_topic("a")


@pytest.mark.parametrize("value", [None, 7, [], {}, True, "", "abcd", "a\x00b"])
def test_a_text_outside_its_limits_is_refused_by_name(value: Any) -> None:
    """Name the field."""
    with pytest.raises(Refusal, match=r"^word must"):
        parse_text("word", value, most=3)


@pytest.mark.parametrize("value", [None, "7", 0, -1, True, 1.0, 1 << 63, 10**30])
def test_what_cannot_be_an_id_is_refused(value: Any) -> None:
    """Never hand Postgres a number that it cannot hold."""
    with pytest.raises(Refusal, match=r"^messageId must"):
        parse_id("messageId", value)
