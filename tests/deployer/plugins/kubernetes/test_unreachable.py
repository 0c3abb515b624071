"""A cluster that is gone for good, or away for a while, under a stack that has objects in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from deployer.plugins.kubernetes.api import Api, Resource
from tests.deployer.plugins.kubernetes.programs import Entry, Trial

pytestmark = pytest.mark.cluster

CONFIG_MAPS = Resource("v1", "configmaps", namespaced=True)
NOWHERE = "https://127.0.0.1:1"


@pytest.fixture
def way(kubeconfig: Path, tmp_path: Path) -> Path:
    """A kubeconfig of the test's own, which may be led astray."""
    own = tmp_path / "kubeconfig"
    own.write_bytes(kubeconfig.read_bytes())
    return own


def lead_astray(way: Path) -> None:
    document = yaml.safe_load(way.read_text())
    document["clusters"][0]["cluster"]["server"] = NOWHERE
    way.write_text(json.dumps(document))


def things(word: str) -> list[Entry]:
    return [
        Entry(name, "core/v1:ConfigMap", {"metadata": {"name": name}, "data": {"k": word}}) for name in ("one", "two")
    ]


def test_what_cannot_be_reached_stays_in_the_state_unless_it_may_be_forgotten(
    trial: Trial, api: Api, way: Path, namespace: str
) -> None:
    """Refresh, update and destroy name the cluster and the way out; with deleteUnreachable they take it."""
    trial.up(*things("1"), kubeconfig=str(way))
    lead_astray(way)

    for command in (("refresh", "--yes", "--skip-preview"), ("destroy", "--yes", "--skip-preview")):
        done = trial.run(*command)
        assert done.returncode != 0
        assert f"The Kubernetes cluster cannot be reached: {NOWHERE} does not answer" in done.stdout
        assert "PULUMI_K8S_DELETE_UNREACHABLE=true" in done.stdout
    assert {"one", "two"} <= set(trial.project.resources())
    trial.write(*things("1"), kubeconfig=str(way), deleteUnreachable=True)
    # The argument is the provider's, so it has to be in the state before a refresh knows of it.
    trial.run("up", "--yes", "--skip-preview")

    assert trial.run("refresh", "--yes", "--skip-preview").returncode == 0
    assert not {"one", "two"} & set(trial.project.resources())
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0
    left = [item["metadata"]["name"] for item in api.items(CONFIG_MAPS, namespace)]
    assert {"one", "two"} <= set(left)
    for name in ("one", "two"):
        api.delete(CONFIG_MAPS, namespace, name, propagation="Background")


def test_a_stack_of_a_cluster_that_came_back_goes_on(trial: Trial, way: Path) -> None:
    """An update while it was away changed nothing and lost nothing."""
    trial.up(*things("1"), kubeconfig=str(way))
    here = way.read_bytes()
    lead_astray(way)
    assert "cannot be reached" in trial.fail(*things("2"), kubeconfig=str(way))
    way.write_bytes(here)

    trial.up(*things("2"), kubeconfig=str(way))

    assert trial.unchanged()
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_what_cannot_be_reached_may_be_skipped_while_the_rest_goes_on(
    trial: Trial, api: Api, way: Path, namespace: str
) -> None:
    """With skipUpdateUnreachable it stays as it was, in the state too; once it is back the next update reaches it."""
    trial.up(*things("1"), kubeconfig=str(way))
    here = way.read_bytes()
    lead_astray(way)

    said = trial.up(*things("2"), kubeconfig=str(way), skipUpdateUnreachable=True)

    assert "left as it is: its cluster cannot be reached" in said
    assert trial.state("one")["inputs"]["data"] == {"k": "1"}
    assert trial.run("refresh", "--yes", "--skip-preview").returncode == 0
    assert {"one", "two"} <= set(trial.project.resources())
    new = Entry("new", "core/v1:ConfigMap", {})
    assert "cannot be reached" in trial.fail(new, *things("2"), kubeconfig=str(way), skipUpdateUnreachable=True)
    assert trial.run("destroy", "--yes", "--skip-preview").returncode != 0
    way.write_bytes(here)
    trial.up(*things("2"), kubeconfig=str(way), skipUpdateUnreachable=True)
    assert trial.state("one")["outputs"]["data"] == {"k": "2"}
    assert {item["data"]["k"] for item in api.items(CONFIG_MAPS, namespace) if "k" in item.get("data", {})} == {"2"}
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_destroy_may_forget_by_the_variable_alone(trial: Trial, api: Api, way: Path, namespace: str) -> None:
    """As the message says."""
    trial.up(*things("1"), kubeconfig=str(way))
    lead_astray(way)
    environ = {**trial.project.environ, "PULUMI_K8S_DELETE_UNREACHABLE": "true"}
    forgetful = Trial(type(trial.project)(trial.project.folder, trial.project.pulumi, environ), trial.provider)

    assert forgetful.run("destroy", "--yes", "--skip-preview").returncode == 0

    assert not trial.project.resources()
    for name in ("one", "two"):
        api.delete(CONFIG_MAPS, namespace, name, propagation="Background")


def test_a_deletion_that_something_holds_is_told_of_after_its_own_time(trial: Trial, api: Api, namespace: str) -> None:
    """CustomTimeouts hold for deletions too, and the next destroy takes up."""
    held = {"metadata": {"name": "held", "finalizers": ["stampchat.test/held"]}, "data": {"k": "1"}}
    trial.up(Entry("held", "core/v1:ConfigMap", held, {"timeout": "3s"}))

    done = trial.run("destroy", "--yes", "--skip-preview")
    assert done.returncode != 0
    assert "is still there 3 s after its deletion: held by its finalizers stampchat.test/held" in done.stdout
    assert "held" in trial.project.resources()

    patch = {"metadata": {"finalizers": None}}
    api.patch(
        CONFIG_MAPS, namespace, "held", patch, content_type="application/merge-patch+json", manager="t", dry_run=False
    )
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0
