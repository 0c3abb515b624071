"""Where the data of a test's Postgres lies."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.services import postgres
from tests.services.postgres import NAME, make_place


def test_where_memory_is_free_it_lies_there_and_what_the_dead_left_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with subprocess.Popen([sys.executable, "-c", ""]) as dead:
        dead.wait()
    left, own, others = (tmp_path / f"{NAME}{pid}-x" for pid in (dead.pid, os.getpid(), 1))
    for folder in (left, own, others):
        (folder / "data").mkdir(parents=True)
    monkeypatch.setattr(postgres, "MEMORY_BYTES", 0)

    place = make_place(tmp_path / "folder", memory=tmp_path)

    assert place.parent == tmp_path
    assert place.name.startswith(f"{NAME}{os.getpid()}-")
    assert (left.exists(), own.exists(), others.exists()) == (False, True, True)


def test_where_little_or_none_is_free_it_lies_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_place(tmp_path / "folder", memory=tmp_path / "none") == tmp_path / "folder"
    monkeypatch.setattr(postgres, "MEMORY_BYTES", 1 << 60)
    assert make_place(tmp_path / "folder", memory=tmp_path) == tmp_path / "folder"
