"""Bring up each gateway that can run here, with echoes in the services' place."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import EmbeddedCluster
from tests.gateways.client import Gateway
from tests.gateways.cluster import dev, prod
from tests.gateways.machine import emissary_stand_in, local
from tests.infra.configs import DEV, IMAGES, PROD_GATEWAY_API, WITH_PAGE
from tests.order.objects import Objects, emptied
from tests.order.stack import load_images, objects_of

EMISSARYS = {"Listener", "Host", "Mapping"}


@pytest.fixture(scope="module")
def local_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Run the gateway of `./stampchat local`."""
    with local(tmp_path_factory.mktemp("local")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def emissary_stand_in_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Run Envoy with stack prod's Listeners, Host and Mappings, the page's included, as we read Emissary."""
    folder = tmp_path_factory.mktemp("emissary")
    objects = objects_of("prod", WITH_PAGE, IMAGES, folder)
    with emissary_stand_in([item for item in objects if item["kind"] in EMISSARYS], folder) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def objects(embedded_cluster: EmbeddedCluster) -> Iterator[Objects]:
    """Speak with the cluster, whose namespaces of ours are empty before and gone after."""
    with emptied(embedded_cluster.info.kubeconfig) as found:
        yield found


@pytest.fixture(scope="module")
def dev_gateway(
    embedded_cluster: EmbeddedCluster, objects: Objects, tmp_path_factory: pytest.TempPathFactory
) -> Gateway:
    """Run stack dev's gateway."""
    manifests = objects_of("dev", DEV, load_images(embedded_cluster), tmp_path_factory.mktemp("dev"))
    return dev(embedded_cluster, objects, manifests)


@pytest.fixture(scope="module")
def prod_gateway(
    embedded_cluster: EmbeddedCluster, objects: Objects, tmp_path_factory: pytest.TempPathFactory
) -> Gateway:
    """Run stack prod's gateway of kind gateway-api, after stack dev's in the same namespaces."""
    folder = tmp_path_factory.mktemp("prod")
    manifests = objects_of("prod", PROD_GATEWAY_API, load_images(embedded_cluster), folder)
    return prod(embedded_cluster, objects, manifests, folder)
