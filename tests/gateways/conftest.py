"""Bring up each gateway that can run here, with echoes in the services' place."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from stacks.program import deploy
from tests.gateways.client import Gateway
from tests.gateways.machine import emissary_stand_in, local
from tests.infra.configs import IMAGES, PROD
from tests.infra.recording import record


@pytest.fixture(scope="module")
def local_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Run the gateway of `./stampchat local`."""
    with local(tmp_path_factory.mktemp("local")) as gateway:
        yield gateway


@pytest.fixture(scope="module")
def emissary_stand_in_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Run Envoy with stack prod's Listeners, Host and Mappings, as we read Emissary."""
    folder = tmp_path_factory.mktemp("emissary")
    (folder / ".stampchat").mkdir()
    (folder / ".stampchat" / "images.json").write_text(json.dumps(IMAGES))
    recording = record(lambda: deploy(folder), PROD, stack="prod")
    objects = [recorded.inputs for recorded in recording.objects("Listener", "Host", "Mapping")]
    with emissary_stand_in(objects, folder) as gateway:
        yield gateway
