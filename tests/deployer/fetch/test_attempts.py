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
    monkeypatch.setattr(time, "time", lambda: now + 25 * 3600)
    assert failed_lately(tmp_path, "plugin") is None


def test_a_broken_memory_is_no_memory(tmp_path: Path) -> None:
    (tmp_path / "unreachable.json").write_text("{")

    assert failed_lately(tmp_path, "plugin") is None
