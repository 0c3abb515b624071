"""Give the tests of local a layout of their own and a console that writes into memory."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deployer.local import layout as subject
from deployer.local.console import Console
from deployer.local.layout import Layout, load_layout
from deployer.workspace import ROOT, Workspace

MakeConsole = Callable[..., Console]


@pytest.fixture
def workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    # pytest's folders are root's alone, so root's database would lie in the system's folder.
    monkeypatch.setattr(subject, "_SYSTEM_FOLDER", tmp_path / "system")
    return Workspace(root=ROOT, home=tmp_path / "home", cache=tmp_path / "cache")


@pytest.fixture
def layout(workspace: Workspace) -> Layout:
    found = load_layout(workspace)
    found.folder.mkdir(parents=True)
    return found


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def make_console(stream: io.StringIO, tmp_path: Path) -> Iterator[MakeConsole]:
    made: list[Console] = []

    def make(
        into: io.StringIO = stream, *, as_json: bool = False, colour: bool = False, quiet: bool = False
    ) -> Console:
        made.append(Console(into, tmp_path / "logs", as_json=as_json, colour=colour, quiet=quiet))
        return made[-1]

    yield make
    for console in made:
        console.close()


@pytest.fixture
def console(make_console: MakeConsole) -> Console:
    return make_console()
