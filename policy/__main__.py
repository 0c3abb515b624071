"""Run as a Pulumi policy pack: `pulumi preview --policy-pack policy`."""

from __future__ import annotations

import sys
from pathlib import Path

# The engine runs this folder, as it runs the programs'.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from policy.serve import serve  # only now can it be found

serve()
