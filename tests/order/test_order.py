"""Objects in any order: whatever comes first, everything becomes ready, and two people chat."""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator
from http import HTTPStatus

import pytest

from deployer.ready import fetch_status
from deployer.smoke import smoke
from infra.catalogue import APPLICATIONS
from tests.conftest import EmbeddedCluster
from tests.infra.configs import DEV
from tests.order.objects import Json, Objects, apply_all, await_ready, emptied, eventually
from tests.order.stack import load_images, objects_of

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]


@pytest.fixture(scope="module")
def manifests(embedded_cluster: EmbeddedCluster, tmp_path_factory: pytest.TempPathFactory) -> list[Json]:
    """List stack dev's objects, with real images and databases."""
    return objects_of("dev", DEV, load_images(embedded_cluster), tmp_path_factory.mktemp("dev"))


@pytest.fixture
def objects(embedded_cluster: EmbeddedCluster) -> Iterator[Objects]:
    """Speak with a cluster in which nothing of the stack is, and leave it so."""
    with emptied(embedded_cluster.info.kubeconfig) as found:
        yield found


def reverse(manifests: list[Json]) -> list[Json]:
    """Put the gateway's routes first and the namespaces last."""
    namespaces = [manifest for manifest in manifests if manifest["kind"] == "Namespace"]
    return [*(manifest for manifest in reversed(manifests) if manifest not in namespaces), *namespaces]


def shuffle(manifests: list[Json]) -> list[Json]:
    """Put them in an order that is another at every run; the seed is shown when the test fails."""
    seed = secrets.randbelow(1 << 32)
    print(f"random order of seed {seed}")  # noqa: T201
    return random.Random(seed).sample(manifests, len(manifests))  # noqa: S311  # no secret


def are_reached(url: str) -> bool:
    """Tell whether the gateway leads to every service."""
    return all(fetch_status(f"{url}/{application.key}/test") == HTTPStatus.OK for application in APPLICATIONS)


@pytest.mark.parametrize("order", [reverse, shuffle])
def test_everything_becomes_ready(
    embedded_cluster: EmbeddedCluster,
    objects: Objects,
    manifests: list[Json],
    order: Callable[[list[Json]], list[Json]],
) -> None:
    """Applied one by one, and again what had no namespace yet: no object waits for another for ever."""
    rounds = apply_all(objects, order(manifests))
    print(f"applied in {rounds} rounds")  # noqa: T201
    await_ready(objects, manifests)
    # The gateway hears of a pod that has become ready a moment later.
    eventually(lambda: are_reached(embedded_cluster.info.url), "an answer of each service through the gateway")
    results = smoke(embedded_cluster.info.url, lambda _: None)

    assert all(result.passed for result in results)
