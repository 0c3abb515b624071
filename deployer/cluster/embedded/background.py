"""Build what a cluster lacks, in a process that `up` starts and does not wait for (`begin` in extras.py)."""

from __future__ import annotations

import os
import sys

from deployer.cluster.embedded.extras import EXTRAS, build_extras
from deployer.cluster.embedded.serving import serve_extras
from deployer.errors import DeployError
from deployer.workspace import load_workspace


class Log:
    """Write each note as a line."""

    def note(self, text: str) -> None:
        """Write a line at once: somebody may look."""
        print(text, flush=True)  # noqa: T201  # the log is its standard output


def main() -> None:
    """Build what the arguments name, and put it to use in this checkout's cluster."""
    os.setsid()  # a Ctrl-C meant for `up` is not for this, and whoever ends this ends its compilers with it
    workspace = load_workspace()
    try:
        build_extras(workspace, [extra for extra in EXTRAS if extra.name in sys.argv[1:]], Log())
    except DeployError as error:
        Log().note(str(error))
    serve_extras(workspace)


if __name__ == "__main__":
    main()
