"""Have as many files open as the machine allows."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator

import pytest

from services.file_limit import RESERVED, raise_file_limit


@pytest.fixture
def hard() -> Iterator[int]:
    """Begin with the soft limit of an ordinary shell, and put it back."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(1024, hard), hard))
    yield hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_soft_limit_rises_to_the_hard_one(hard: int, caplog: pytest.LogCaptureFixture) -> None:
    """Say nothing when that is enough."""
    assert raise_file_limit(hard - RESERVED) == hard

    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (hard, hard)
    assert caplog.records == []


def test_a_machine_that_allows_too_few_files_is_named(hard: int, caplog: pytest.LogCaptureFixture) -> None:
    """Say what is allowed and what would be needed, and go on."""
    with caplog.at_level(logging.WARNING):
        raise_file_limit(hard)

    fields = caplog.records[0].__dict__["fields"]
    assert fields == {"allowed": hard, "connections": hard, "needed": hard + RESERVED}
