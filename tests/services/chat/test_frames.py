"""Write websocket headers by RFC 6455."""

from __future__ import annotations

import pytest

from services.chat.frames import pack


@pytest.mark.parametrize(
    ("frame", "header"),
    [
        ("", b"\x81\x00"),
        ("a" * 125, b"\x81\x7d"),
        ("é" * 63, b"\x81\x7e\x00\x7e"),
        ("a" * 65_535, b"\x81\x7e\xff\xff"),
        ("a" * 65_536, b"\x81\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        (b"\x00", b"\x82\x01"),
    ],
)
def test_a_header_says_kind_and_length(frame: str | bytes, header: bytes) -> None:
    """Count bytes, not characters."""
    data = frame.encode() if isinstance(frame, str) else frame

    assert pack(frame) == header + data
