"""A registry in the box: what is pushed to it is pulled from it, and is still there after a stop."""

from __future__ import annotations

import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from deployer import cluster
from deployer.cluster import Choice
from deployer.cluster.embedded.layout import Layout
from deployer.cluster.embedded.registry import find_registry, write_registry
from deployer.cluster.model import Instance
from deployer.oci import MANIFEST
from deployer.own_registry import located, own_registry
from deployer.registry import Credentials, Registry, parse_registry
from deployer.registry.errors import RegistryError
from deployer.registry.push import Pusher
from deployer.report import Silent
from tests.conftest import EmbeddedCluster, skip_without_cluster, start, temporary_workspace
from tests.deployer.cluster.pods import eventually
from tests.deployer.registry.registry import busybox_image
from tests.deployer.registry.test_pull import pod
from tests.order.objects import Objects
from tests.ports import free_port

NAME = parse_registry(f"{cluster.REGISTRY_NAME}/team")
MISSING = f"{NAME.prefix}/busybox@sha256:{'0' * 64}"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedCluster]:
    """Run a cluster that was asked to have a registry."""
    skip_without_cluster()
    workspace = temporary_workspace(tmp_path_factory.mktemp("registry"))
    try:
        cluster.choose(workspace, cluster.load_instance(workspace, port=free_port()), Choice(registry=True))
        yield start(workspace)
    finally:
        cluster.down(workspace, purge=True)


@pytest.mark.cluster
def test_what_was_pushed_is_pulled_by_digest_and_outlives_a_stop(running: EmbeddedCluster, tmp_path: Path) -> None:
    """Always from the registry, without a secret: a digest that it lacks is not found."""
    image = busybox_image(tmp_path)
    place, shown = located(running.workspace, NAME)
    assert shown is not None
    Pusher(Registry(place, shown), Silent()).push("busybox", [image], {}, ["one"])
    reference = f"{place.prefix}/busybox@{image.digest}"

    with closing(Objects(running.info.kubeconfig)) as objects:
        run(objects, "before", reference)
        run(objects, "lacking", MISSING)
        eventually(lambda: phase(objects, "before") == "Succeeded", "a Pod from the registry")
        eventually(lambda: "not found" in waits_for(objects, "lacking"), "a Pod that has nothing to run")

    cluster.down(running.workspace)
    start(running.workspace)

    with closing(Objects(running.info.kubeconfig)) as objects:
        run(objects, "after", reference)
        eventually(lambda: phase(objects, "after") == "Succeeded", "a Pod from the registry of before")
    assert Registry(place, shown).repository("busybox").read_manifest("one", MANIFEST)


@pytest.mark.cluster
def test_whoever_lacks_the_password_or_the_authority_gets_nothing(running: EmbeddedCluster) -> None:
    """From this machine; from elsewhere nobody reaches it."""
    place, shown = located(running.workspace, NAME)
    assert shown is not None
    Registry(place, shown).check()

    for other, theirs in (
        (place, Credentials()),
        (place, Credentials(shown.username, "made-up")),
        (replace(place, authority=None), shown),
    ):
        with pytest.raises(RegistryError):
            Registry(other, theirs).check()


@pytest.mark.cluster
def test_the_password_is_in_no_command_line_and_no_readable_file(running: EmbeddedCluster) -> None:
    """It is root's alone, as the cluster's keys are."""
    file = own_registry(running.workspace).password_file
    password = file.read_text()
    assert len(password) > 30
    commands = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True, check=True).stdout
    assert password not in commands
    for path in running.workspace.home.rglob("*.log"):
        assert password not in path.read_text(errors="replace")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(home=tmp_path, instance=Instance("stampchat-0a1b2c", 7, 8081, registry=True))


def test_written_again_nothing_changes_and_without_a_registry_nothing_leads_there(layout: Layout) -> None:
    """The password is kept all the same: so is what was pushed."""
    write_registry(layout)
    written = {path: path.read_bytes() for path in layout.home.rglob("*") if path.is_file()}
    write_registry(layout)
    assert {path: path.read_bytes() for path in layout.home.rglob("*") if path.is_file()} == written

    write_registry(replace(layout, instance=replace(layout.instance, registry=False)))

    assert not list(layout.config.rglob("hosts.toml"))
    assert find_registry(layout).password_file.exists()


def run(objects: Objects, name: str, image: str) -> None:
    """Run a Pod that always pulls."""
    described = pod(name, image)
    metadata = {"name": name, "namespace": "default"}
    objects.apply({"apiVersion": "v1", "kind": "Pod", **described, "metadata": metadata})


def phase(objects: Objects, name: str) -> str:
    """Return how far a Pod is."""
    return str((objects.read(f"/api/v1/namespaces/default/pods/{name}") or {})["status"].get("phase"))


def waits_for(objects: Objects, name: str) -> str:
    """Return what keeps a Pod's container from being started, in the kubelet's words."""
    found = (objects.read(f"/api/v1/namespaces/default/pods/{name}") or {})["status"]
    states = [each["state"].get("waiting", {}) for each in found.get("containerStatuses", [])]
    return " ".join(state.get("message", "") for state in states)
