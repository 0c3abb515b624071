"""Run the command line: python -m cli."""

from __future__ import annotations

import sys

try:
    from cli.app import main
except KeyboardInterrupt:
    # Ctrl-C within the first half second, while modules are read.
    sys.exit(130)

if __name__ == "__main__":
    sys.exit(main())
