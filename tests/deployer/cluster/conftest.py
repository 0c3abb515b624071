from __future__ import annotations

from collections.abc import Iterator

import pytest

from deployer import cluster
from tests.conftest import EmbeddedCluster, skip_without_cluster, start, temporary_workspace


@pytest.fixture(scope="module")
def second(tmp_path_factory: pytest.TempPathFactory, embedded_cluster: EmbeddedCluster) -> Iterator[EmbeddedCluster]:
    """Run another cluster beside the session's, one that tests may break."""
    skip_without_cluster()
    # Longer than a unix socket's path may be.
    home = tmp_path_factory.mktemp("second") / ("a-checkout-that-lies-deep" * 4)
    home.mkdir()
    workspace = temporary_workspace(home)
    try:
        running = start(workspace)
        assert running.instance.number != embedded_cluster.instance.number
        yield running
    finally:
        cluster.down(workspace, purge=True)
