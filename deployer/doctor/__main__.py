"""Examine the machine where there is no environment yet: python -m deployer.doctor [--json]."""

from __future__ import annotations

import json
import sys

from deployer.doctor.examination import examine
from deployer.doctor.telling import lines
from deployer.workspace import load_workspace


def main() -> int:
    """Print what was found, and return 0 when `up` can go."""
    found = examine(load_workspace())
    told = json.dumps(found.as_json(), indent=2) if "--json" in sys.argv[1:] else "\n".join(lines(found))
    sys.stdout.write(f"{told}\n")
    return 0 if found.ready else 1


if __name__ == "__main__":
    sys.exit(main())
