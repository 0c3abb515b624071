from __future__ import annotations

import time
from pathlib import Path

import pytest

from deployer.fetch.attempts import failed_lately, remember_failure


def test_a_failure_is_remembered_for_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    remember_failure(tmp_path, "plugin", "no route")
    remember_failure(tmp_path, "other", "cut")

    assert failed_lately(tmp_path, "plugin") == "no route"
    assert failed_lately(tmp_path, "unknown") is None
    for hours in (25, -25):  # a day has passed, or the clock was ahead and was put right
        monkeypatch.setattr(time, "time", lambda hours=hours: now + hours * 3600)
        assert failed_lately(tmp_path, "plugin") is None


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"plugin": {}}', b'{"plugin": 7}', b'{"plugin": {"at": "x", "reason": ""}}'],
)
def test_a_broken_memory_is_no_memory(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "unreachable.json").write_bytes(text)

    assert failed_lately(tmp_path, "plugin") is None
    remember_failure(tmp_path, "plugin", "no route")
    assert failed_lately(tmp_path, "plugin") == "no route"
