"""Have environments made in no time: most tests of the launcher are about when it makes one, and not about how."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_PROGRAM = """#!/bin/sh
if [ "$1 $2 $3" = "-m venv --clear" ]; then rm -rf "$4" && exec cp -a '{made}' "$4"; fi
exec '{python}' "$@"
"""


@pytest.fixture(scope="session")
def quick_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make one environment, and a `python3` that copies it wherever it is to make another: pip takes seconds each."""
    folder = tmp_path_factory.mktemp("quick")
    subprocess.run([sys.executable, "-m", "venv", folder / "made"], check=True)
    program = folder / "bin" / "python3"
    program.parent.mkdir()
    program.write_text(_PROGRAM.format(made=folder / "made", python=sys.executable))
    program.chmod(0o755)
    return program


@pytest.fixture
def _quickly(quick_python: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the launcher find that `python3` first."""
    monkeypatch.setenv("PATH", f"{quick_python.parent}{os.pathsep}{os.environ['PATH']}")
