from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from deployer.checks import load_settings
from deployer.errors import DeployError, UsageError
from deployer.kube import Kube, Pod, is_over, parse_pod, parse_usage
from deployer.logs import find_pods
from tests.deployer.clusters import make_prod, write_kubeconfig


def item(name: str, owner: tuple[str, str], **status: Any) -> dict[str, Any]:
    return {
        "metadata": {
            "name": name,
            "namespace": "stampchat",
            "owner_references": [{"kind": owner[0], "name": owner[1]}],
            "deletion_timestamp": None,
        },
        "spec": {"containers": [{"image": "stampchat.local/services@sha256:0123456789abcdef"}]},
        "status": {"phase": "Running", "start_time": datetime(2026, 11, 24, 7, 0, tzinfo=UTC), **status},
    }


def pod(workload: str, namespace: str = "stampchat") -> Pod:
    return Pod(namespace, f"{workload}-1", workload, True, "Running", 0, "", "", "")  # ready


def test_a_running_pod_reads_as_a_person_wants_it() -> None:
    raw = item(
        "stamp-chat-auth-7d9f-x2x",
        ("ReplicaSet", "stamp-chat-auth-7d9f"),
        conditions=[{"type": "Ready", "status": "True"}],
        container_statuses=[{"restart_count": 2, "state": {"running": {}}}],
        pod_ip="10.244.0.7",
    )

    found = parse_pod(raw)

    assert (found.workload, found.ready, found.restarts, found.image) == ("stamp-chat-auth", True, 2, "0123456789ab")
    assert (found.state, found.address, found.started) == ("Running", "10.244.0.7", "2026-11-24T07:00:00+00:00")


def test_a_pod_that_cannot_start_says_why() -> None:
    waiting = {"restart_count": 0, "state": {"waiting": {"reason": "ImagePullBackOff"}}}
    raw = item("db-0", ("StatefulSet", "db"), phase="Pending", container_statuses=[waiting])

    assert parse_pod(raw).state == "ImagePullBackOff"
    assert parse_pod(raw).workload == "db"


def test_what_a_pod_uses_is_the_sum_of_its_containers() -> None:
    """In the units that metrics-server happens to choose."""
    used = [{"cpu": "1500000n", "memory": "20Mi"}, {"cpu": "2m", "memory": "512Ki"}]

    found = parse_usage({"containers": [{"name": str(number), "usage": each} for number, each in enumerate(used)]})

    assert found == {"cores": pytest.approx(0.0035), "memory_bytes": 20 * 2**20 + 512 * 2**10}


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("auth", ["stamp-chat-auth"]),
        ("chat", ["stamp-chat-channels"]),
        ("db-stamp-chat-auth", ["db-stamp-chat-auth"]),
        ("stamp-chat-channels-1", ["stamp-chat-channels"]),
        ("gateway", ["traefik"]),
    ],
)
def test_short_and_long_names_find_a_service(service: str, expected: list[str]) -> None:
    pods = [pod("stamp-chat-auth"), pod("stamp-chat-channels"), pod("db-stamp-chat-auth")]
    pods.append(pod("traefik", "stampchat-gateway"))

    assert [found.workload for found in find_pods(pods, service)] == expected


def test_an_unknown_service_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError, match="no service 'mail'") as caught:
        find_pods([pod("stamp-chat-auth")], "mail")

    assert "stamp-chat-auth" in caught.value.advice


def test_without_pods_there_is_nothing_to_read() -> None:
    with pytest.raises(DeployError, match="Nothing is deployed"):
        find_pods([], "auth")


def test_a_cluster_that_we_do_not_start_is_not_started_by_us(tmp_path: Path) -> None:
    """Only what is on this machine is repaired by `up`."""
    write_kubeconfig(tmp_path / "kubeconfig", {"managed": "http://127.0.0.1:1"})
    workspace = make_prod(tmp_path)

    with pytest.raises(DeployError, match="The cluster does not answer") as caught:
        Kube(workspace, load_settings(workspace, "prod")).pods()

    assert "./stampchat up" not in caught.value.advice
    assert "kubeconfig" in caught.value.advice


@pytest.mark.parametrize(
    ("kind", "phase", "over"),
    [
        ("ReplicaSet", "Failed", True),
        ("StatefulSet", "Succeeded", True),
        ("ReplicaSet", "Running", False),
        ("ReplicaSet", "Pending", False),
        ("Job", "Failed", False),
    ],
)
def test_what_is_left_of_an_evicted_pod_counts_for_nothing(kind: str, phase: str, *, over: bool) -> None:
    """Or every `up` after a full disk would find an image that nothing runs."""
    assert is_over(item("stamp-chat-auth-1-2", (kind, "stamp-chat-auth-1"), phase=phase)) is over
