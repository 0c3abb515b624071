"""What the API server's answers mean."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.cluster.embedded.api import has_condition


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        ({"status": {"conditions": [{"type": "Ready", "status": "True"}]}}, True),
        ({"status": {"conditions": [{"type": "Ready", "status": "Unknown"}]}}, False),
        ({"status": {"conditions": [{"type": "Other", "status": "True"}]}}, False),
        ({"status": {"conditions": None}}, False),
        ({"status": None}, False),
        ({}, False),
    ],
)
def test_a_condition_counts_only_when_it_is_true(item: dict[str, Any], *, expected: bool) -> None:
    """An object that was made just now has none yet, written as null."""
    assert has_condition(item, "Ready") is expected
