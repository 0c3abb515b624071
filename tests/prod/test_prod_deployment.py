"""Look at what stack prod has become in a real cluster."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from kubernetes.client import ApiClient, ApiException, AppsV1Api, AutoscalingV2Api, CoreV1Api, PolicyV1Api
from kubernetes.config import new_client_from_config

from tests.order.objects import eventually
from tests.prod.ground import Ground

pytestmark = pytest.mark.cluster

SERVICES = ("stamp-chat-auth", "stamp-chat-channels", "stamp-chat-notifications")
NAMESPACES = ("stampchat", "stampchat-gateway")


@pytest.fixture
def api(ground: Ground) -> Iterator[ApiClient]:
    with new_client_from_config(str(ground.kubeconfig)) as client:
        yield client


@pytest.fixture
def pods(api: ApiClient) -> list[Any]:
    """All pods of the deployment, but those that are on their way out."""
    found = [pod for name in NAMESPACES for pod in CoreV1Api(api).list_namespaced_pod(name).items]
    return [pod for pod in found if pod.metadata.deletion_timestamp is None]


def test_an_update_that_was_killed_was_taken_up_by_the_next(ground: Ground) -> None:
    """What it had made stayed, and what it was making was taken in."""
    changes = ground.first["changes"]

    assert changes["same"] > 5
    assert changes["create"] > 5
    assert set(changes) == {"same", "create"}


def test_three_pods_of_each_are_ready(api: ApiClient) -> None:
    apps = AppsV1Api(api)
    found = [item for name in NAMESPACES for item in apps.list_namespaced_deployment(name).items]

    assert {item.metadata.name: item.status.ready_replicas for item in found} == dict.fromkeys(
        (*SERVICES, "gateway"), 3
    )
    for item in found:
        rolling = item.spec.strategy.rolling_update
        assert (rolling.max_unavailable, rolling.max_surge) == (0, 1)


def test_an_autoscaler_keeps_each_service_between_its_bounds(api: ApiClient) -> None:
    found = AutoscalingV2Api(api).list_namespaced_horizontal_pod_autoscaler("stampchat").items

    assert {item.spec.scale_target_ref.name: (item.spec.min_replicas, item.spec.max_replicas) for item in found} == (
        dict.fromkeys(SERVICES, (3, 4))
    )
    assert all(item.status.desired_replicas == 3 for item in found)


def test_a_drained_node_takes_one_pod_at_a_time(api: ApiClient) -> None:
    policy = PolicyV1Api(api)
    found = [item for name in NAMESPACES for item in policy.list_namespaced_pod_disruption_budget(name).items]

    assert {item.metadata.name: (item.status.expected_pods, item.status.disruptions_allowed) for item in found} == (
        dict.fromkeys((*SERVICES, "gateway"), (3, 1))
    )


def test_pods_keep_to_different_nodes_and_zones(pods: list[Any]) -> None:
    for pod in pods:
        keys = {constraint.topology_key for constraint in pod.spec.topology_spread_constraints}

        assert keys == {"topology.kubernetes.io/zone", "kubernetes.io/hostname"}, pod.metadata.name
        assert pod.spec.affinity.pod_anti_affinity is not None


def test_no_service_has_a_token_of_the_cluster(pods: list[Any]) -> None:
    for pod in pods:
        sources = [source for volume in pod.spec.volumes if volume.projected for source in volume.projected.sources]
        has_token = any(source.service_account_token for source in sources)

        # Traefik alone reads from the API.
        assert has_token == (pod.metadata.namespace == "stampchat-gateway"), pod.metadata.name
        assert pod.spec.service_account_name != "default"


def test_what_runs_is_named_by_digest(pods: list[Any]) -> None:
    for pod in pods:
        parts = [*pod.spec.containers, *(pod.spec.init_containers or [])]

        assert all("@sha256:" in part.image for part in parts), pod.metadata.name


def test_secrets_are_files_and_no_variables(pods: list[Any]) -> None:
    for pod in pods:
        for part in [*pod.spec.containers, *(pod.spec.init_containers or [])]:
            assert not part.env_from, pod.metadata.name
            assert all(variable.value_from is None for variable in part.env or []), pod.metadata.name


@pytest.mark.parametrize("namespace", NAMESPACES)
def test_the_cluster_refuses_a_pod_that_is_not_restricted(api: ApiClient, namespace: str) -> None:
    pod = {"metadata": {"name": "root"}, "spec": {"containers": [{"name": "root", "image": "stampchat.local/root"}]}}

    with pytest.raises(ApiException, match="restricted"):
        CoreV1Api(api).create_namespaced_pod(namespace, pod, dry_run="All")


def test_secrets_are_set_valid_and_lead_to_databases_that_answer(ground: Ground) -> None:
    checked = ground.checkout.json("secrets", "check", "--stack", "prod", "--reach")

    assert checked["well"]


def test_top_sees_every_pod_each_database_and_how_long_the_certificate_lasts(ground: Ground) -> None:
    """Through policies that let nobody in; pods of a busy machine may answer late."""

    def seen() -> bool:
        looked.update(ground.checkout.json("top", "--stack", "prod", "--once"))
        return not [row for row in looked["rows"] if row["problems"]]

    looked: dict[str, Any] = {}
    eventually(seen, "a look at which every pod is well")

    counted = Counter(row["service"] for row in looked["rows"])
    assert counted == {"auth": 3, "chat": 3, "notifications": 3, "gateway": 3}
    assert {found["service"]: found["state"] for found in looked["databases"]} == dict.fromkeys(
        ("auth", "chat", "notifications"), "ok"
    )
    assert {row["figures"]["replicas"] for row in looked["rows"] if row["service"] == "chat"} == {3}
    assert 0 < looked["certificate"]["days"] < 100


def test_nothing_changes_when_nothing_has_changed(ground: Ground) -> None:
    preview = ground.checkout.json("preview", "--stack", "prod")
    again = ground.checkout.json("up", "--stack", "prod", "--yes")

    assert preview["changes"] == []
    assert set(again["changes"]) == {"same"}
