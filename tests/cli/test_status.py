"""What the verbs status and cluster status write."""

from __future__ import annotations

import time
from pathlib import Path

from cli.status import cost_lines
from deployer.cluster import ClusterStatus

DAY = 86400


def status(**changed: object) -> ClusterStatus:
    """Return what was found of a cluster that runs."""
    found: dict[str, object] = {
        "name": "c",
        "running": True,
        "components": [],
        "node_ready": True,
        "address": "10.231.7.2",
        "kubeconfig": Path("kubeconfig"),
        "memory_bytes": 900_000_000,
        "own_memory_bytes": 400_000_000,
        "own_cores": 0.0412,
        "certificates_end": time.time() + 700 * DAY + 60,
    }
    return ClusterStatus(**(found | changed))  # type: ignore[arg-type]  # each has its own type above


def test_a_running_cluster_says_what_it_takes_and_how_long_its_certificates_last() -> None:
    own, every, certificates = cost_lines(status())

    assert "41 thousandths of a core" in own
    assert "400 MB" in own
    assert "900 MB" in every
    assert " 700 days" in certificates


def test_one_that_does_not_run_takes_nothing_and_one_that_never_was_has_no_certificates() -> None:
    assert len(cost_lines(status(running=False))) == 1
    assert cost_lines(status(running=False, certificates_end=None)) == []
