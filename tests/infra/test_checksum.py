"""The fingerprint of what pods mount."""

from __future__ import annotations

from infra.checksum import checksum


def test_it_changes_with_what_is_mounted() -> None:
    """A changed secret rolls its pods."""
    assert checksum("key", {"a": "1"}) != checksum("key", {"a": "2"})
    assert checksum("key", {"a": "1"}) != checksum("key", {"b": "1"})


def test_it_does_not_change_with_the_order() -> None:
    """A mapping has none."""
    assert checksum("key", {"a": "1", "b": "2"}) == checksum("key", {"b": "2", "a": "1"})


def test_it_cannot_be_guessed_without_the_key() -> None:
    """A hosted database's password may be weak."""
    assert checksum("key", {"a": "1"}) != checksum("another", {"a": "1"})
