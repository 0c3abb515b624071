"""Share the tests out among several processes, so that what is started once is used by one of them.

A group is a file, unless its tests share what takes long to make: then it is a folder, or all files that use a cluster
for the same: prod's, the one for what manages clusters and objects, the one for whole stacks. The longest groups begin
first, so that no process is left alone with one at the end. A cluster ends with the last test that needs it: one that
idles to the end of the run takes processor and memory from all the others.
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
CLUSTER, STACKS, GROUND = "the embedded cluster", "the embedded cluster for stacks", "prod's ground"
# Of those that use the embedded cluster these are one half of the time, and put no stack into it.
MANAGING = "tests/deployer/"
# What a file says when it uses one of the clusters.
SIGNS = {"ground: Ground": GROUND, "pytest.mark.cluster": CLUSTER}
# The fixture that is a group's cluster.
SHARED = {GROUND: "ground", CLUSTER: "embedded_cluster", STACKS: "embedded_cluster"}
# Each brings up a cluster of its own: behind prod's, which has ended by then, so that no more than two run at once.
OWN = ("tests/test_end_to_end.py", "tests/grounds/test_up_elsewhere.py", "tests/grounds/test_without_network.py")
LONGEST = (GROUND, CLUSTER, STACKS, "tests/services/storage/", "tests/cli/test_launcher.py")
# What a process may need to take a cluster down after Ctrl-C.
TIDY_SECONDS = 300.0


@functools.cache
def group_of(file: str) -> str:
    """Return the group that a file's tests belong to.

    Args:
        file: its path from the root of the checkout.
    """
    if file in OWN:
        return GROUND
    path = ROOT / file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    for sign, cluster in SIGNS.items():
        if sign in text:
            return STACKS if cluster == CLUSTER and not file.startswith(MANAGING) else cluster
    return next((folder for folder in FOLDERS if file.startswith(folder)), file)


def in_order(items: Sequence[pytest.Item]) -> list[pytest.Item]:
    """Return tests with the longest groups first, in these what has its own cluster last, and all else as it was."""
    places = {name: place for place, name in enumerate(LONGEST)}

    def place(item: pytest.Item) -> tuple[int, bool]:
        return places.get(group_of(_file(item)), len(LONGEST)), _file(item) in OWN

    return sorted(items, key=place)


def end_shared(item: pytest.Item, following: pytest.Item | None) -> None:
    """End a group's cluster behind the last test that shares it.

    Args:
        item: the test that has just run.
        following: what this process runs next; nothing at the end, where pytest ends everything.
    """
    shared = _shared_by(item)
    if shared and following is not None and _shared_by(following) != shared:
        for fixture in item.session._fixturemanager.getfixturedefs(shared, item) or ():
            fixture.finish(item._request)  # type: ignore[attr-defined]  # what only a Function has


def _shared_by(item: pytest.Item) -> str:
    return "" if _file(item) in OWN else SHARED.get(group_of(_file(item)), "")


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


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
