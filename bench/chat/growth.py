"""Measure how the chat service's costs grow: python bench/chat/growth.py --help tells the rest."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv" / "bin" / "python"

if __name__ == "__main__":
    if not PYTHON.exists():
        sys.exit("The checkout has no .venv yet: ./stampchat --help makes it, ./stampchat test adds what this needs.")
    os.chdir(ROOT)
    os.execv(PYTHON, [str(PYTHON), "-m", "bench.chat.grow", *sys.argv[1:]])  # noqa: S606  # the same words, in our .venv
