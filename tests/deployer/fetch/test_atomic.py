from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deployer.fetch.atomic import exclusive, replace_folder, staging


def dead_pid() -> int:
    child = subprocess.Popen(["true"])
    child.wait()
    return child.pid


def test_a_failure_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> None:
        with staging(tmp_path / "thing") as folder:
            (folder / "half").write_text("x")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()

    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_process_left_is_cleared_and_what_a_live_one_works_on_stays(tmp_path: Path) -> None:
    (tmp_path / f".thing.part-{dead_pid()}-x").mkdir()
    (tmp_path / f".thing.part-{os.getppid()}-y").mkdir()

    with staging(tmp_path / "thing"):
        pass

    assert [path.name for path in tmp_path.iterdir()] == [f".thing.part-{os.getppid()}-y"]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path) -> None:
    old = tmp_path / "thing"
    old.mkdir()
    (old / "stale").touch()

    with staging(old) as folder:
        (folder / "new").mkdir()
        (folder / "new" / "fresh").touch()
        replace_folder(folder / "new", old)

    assert [path.name for path in old.iterdir()] == ["fresh"]
    assert [path.name for path in tmp_path.iterdir()] == ["thing"]


def test_two_makers_take_turns(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from deployer.fetch.atomic import exclusive\n"
        "with exclusive(Path(sys.argv[1])): print('mine')"
    )
    with exclusive(tmp_path / "thing"):
        other = subprocess.Popen([sys.executable, "-c", code, tmp_path / "thing"], stdout=subprocess.PIPE)
        with pytest.raises(subprocess.TimeoutExpired):
            other.wait(timeout=0.6)
    said, _ = other.communicate(timeout=60)

    assert said == b"mine\n"
