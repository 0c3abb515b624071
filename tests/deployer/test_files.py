from __future__ import annotations

import errno
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from deployer.files import write_private, write_whole

WAYS = pytest.mark.parametrize("write", [write_whole, write_private])
Write = Callable[[Path, str], None]


@WAYS
def test_several_that_write_one_file_at_once_leave_what_one_of_them_wrote(tmp_path: Path, write: Write) -> None:
    """As two `up` of one checkout do."""
    path = tmp_path / "file"
    texts = [letter * 50_000 for letter in "abcd"]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda number: write(path, texts[number % 4]), range(200)))

    assert path.read_text() in texts
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


@WAYS
def test_a_disk_that_is_full_leaves_the_file_that_was_there(
    tmp_path: Path, write: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    write(path, "as it was")

    def refuse(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(OSError, match="No space left"):
        write(path, "new")

    assert path.read_text() == "as it was"
    assert [each.name for each in tmp_path.iterdir()] == ["file"]


def test_what_is_private_is_its_owners_alone(tmp_path: Path) -> None:
    write_private(tmp_path / "file", "secret")

    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o600
