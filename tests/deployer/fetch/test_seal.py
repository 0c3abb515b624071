"""Finished files, and what befell them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from deployer.fetch.seal import is_folder_intact, is_intact, seal, seal_folder


@pytest.fixture
def program(tmp_path: Path) -> Path:
    made = tmp_path / "program"
    made.write_bytes(b"all of it")
    seal(made)
    return made


def touched(path: Path) -> None:
    os.utime(path, ns=(0, 0))


@pytest.mark.parametrize(
    ("befalls", "intact"),
    [
        (lambda _: None, True),
        (touched, True),
        (lambda path: path.write_bytes(b"all of it"), True),
        (lambda path: path.write_bytes(b"all of"), False),
        (lambda path: path.write_bytes(b"ALL of it"), False),
        (lambda path: path.write_bytes(b""), False),
        (lambda path: path.unlink(), False),
    ],
)
def test_a_file_counts_for_what_is_in_it(program: Path, befalls: Callable[[Path], None], intact: bool) -> None:  # noqa: FBT001
    """Copied or touched it is the same; cut short or overwritten it is not, also where its length is."""
    befalls(program)
    if program.exists():
        touched(program)  # however the clock stands

    assert [is_intact(program) for _ in range(2)] == [intact, intact]


def test_a_file_of_before_there_were_seals_is_taken_as_it_is(program: Path) -> None:
    """From then on it is known; so is one whose seal is damaged."""
    for damaged in (None, "", "[]", "{"):
        note = program.with_name(".program.seal")
        note.unlink(missing_ok=True)
        if damaged is not None:
            note.write_text(damaged)
        assert is_intact(program)
    program.write_bytes(b"other")
    touched(program)
    assert not is_intact(program)


@pytest.mark.parametrize(
    ("befalls", "intact"),
    [
        (lambda _: None, True),
        (lambda folder: (folder / "a" / "x").write_text("longer than before"), False),
        (lambda folder: (folder / "a" / "x").unlink(), False),
        (lambda folder: (folder / "new").write_text(""), False),
        (lambda folder: ((folder / "link").unlink(), (folder / "link").symlink_to("nowhere")), False),
        (lambda folder: folder.rename(folder.with_name("gone")), False),
    ],
)
def test_a_folder_counts_for_its_files(tmp_path: Path, befalls: Callable[[Path], object], intact: bool) -> None:  # noqa: FBT001
    """None more, none fewer, none changed."""
    folder = tmp_path / "folder"
    (folder / "a").mkdir(parents=True)
    (folder / "a" / "x").write_text("x")
    (folder / "link").symlink_to("a/x")
    seal_folder(folder)

    befalls(folder)

    assert is_folder_intact(folder) is intact


def test_a_folder_of_before_there_were_seals_is_taken_as_it_is(tmp_path: Path) -> None:
    """From then on it is known."""
    folder = tmp_path / "folder"
    folder.mkdir()
    assert is_folder_intact(folder)
    (folder / "new").write_text("")
    assert not is_folder_intact(folder)
