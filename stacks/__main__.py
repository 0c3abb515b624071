"""Run as the Pulumi program of both stacks: `pulumi up -s dev`, `pulumi preview -s prod`."""

from __future__ import annotations

import sys
from pathlib import Path

# The engine runs this folder, whose neighbours are the packages that it composes.
ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from stacks.program import deploy  # noqa: E402  # only now can it be found

deploy(ROOT)
