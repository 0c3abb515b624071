"""Share the tests out among several processes, so that what is started once is used by one of them.

A group is a file, unless its tests share what takes long to make: then it is a folder, or all files that use one of the
two clusters. The longest groups begin first, so that no process is left alone with one at the end.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from deployer.workspace import ROOT

if TYPE_CHECKING:
    import pytest
    from xdist.scheduler import LoadScopeScheduling

# A session fixture of each takes long: the original's million messages, built images, recordings, a browser.
FOLDERS = ("tests/services/storage/", "tests/deployer/images/", "tests/stacks/", "tests/web/")
CLUSTER, GROUND = "the embedded cluster", "prod's ground"
# What a file says when it uses one of the clusters.
SIGNS = {"ground: Ground": GROUND, "pytest.mark.cluster": CLUSTER}
# It brings up a cluster of its own; behind those of prod, no more than two run at once.
JOURNEY = "tests/test_end_to_end.py"
LONGEST = (GROUND, CLUSTER, "tests/services/storage/", "tests/cli/test_launcher.py")
# What a process may need to take a cluster down after Ctrl-C.
TIDY_SECONDS = 300.0


@functools.cache
def group_of(file: str) -> str:
    """Return the group that a file's tests belong to.

    Args:
        file: its path from the root of the checkout.
    """
    if file == JOURNEY:
        return GROUND
    path = ROOT / file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for sign, cluster in SIGNS.items():
        if sign in text:
            return cluster
    return next((folder for folder in FOLDERS if file.startswith(folder)), file)


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return tests with the longest groups first and all else as it was."""
    places = {name: place for place, name in enumerate(LONGEST)}
    return sorted(items, key=lambda item: places.get(group_of(item.nodeid.partition("::")[0]), len(LONGEST)))


def make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Make the scheduler that hands whole groups to processes, in order."""
    from xdist.scheduler import LoadScopeScheduling

    class Groups(LoadScopeScheduling):  # type: ignore[misc]  # it ships no types
        def _split_scope(self, nodeid: str) -> str:
            return group_of(nodeid.partition("::")[0])

    config.option.loadscopereorder = False
    return Groups(config, log)


def let_tidy_up() -> None:
    """Let every process end its tests in peace after Ctrl-C: 15 seconds are few for taking a cluster down."""
    from execnet.gateway_base import WorkerGateway
    from xdist.workermanage import NodeManager

    NodeManager.EXIT_TIMEOUT = TIDY_SECONDS

    def end(gateway: Any) -> None:
        gateway._execpool.trigger_shutdown()
        if not gateway._execpool.waitall(TIDY_SECONDS):
            os._exit(1)

    WorkerGateway._terminate_execution = end  # type: ignore[assignment, method-assign]
