"""Objects from their creation to their end, and what others do to them meanwhile, on a real cluster."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.plugins.kubernetes.api import MERGE_PATCH, Api, Resource
from tests.deployer.plugins.kubernetes.programs import Entry, Trial

pytestmark = pytest.mark.cluster

CONFIG_MAPS = Resource("v1", "configmaps", namespaced=True)
SECRETS = Resource("v1", "secrets", namespaced=True)
DEPLOYMENTS = Resource("apps/v1", "deployments", namespaced=True)
SECRET_MARK = "4dabf18193072939515e22adb298388d"
NOTES = {"__inputs", "__initialApiVersion", "__fieldManager"}


def config_map(name: str, **metadata: Any) -> Entry:
    return Entry(name, "core/v1:ConfigMap", {"metadata": {"name": name, **metadata}, "data": {"k": "1"}})


def test_a_namespace_and_all_in_it(trial: Trial, api: Api, namespace: str) -> None:
    own = f"{namespace}-own"
    place = Entry("place", "core/v1:Namespace", {"metadata": {"name": own}})
    # At the first preview neither the namespace is there nor its uid known.
    late = {"metadata": {"namespace": own, "labels": {"uid": {"$uid": "place"}}}, "data": {"k": "1"}}
    inside = Entry("inside", "core/v1:ConfigMap", late, {"after": ["place"]})
    planned = trial.preview(place, inside)
    assert planned["inside"]["ops"] == ["create"]

    trial.up(place, inside)
    state = trial.state("inside")
    assert re.fullmatch(rf"{own}/inside-[0-9a-f]{{8}}", state["id"])
    assert trial.state("place")["id"] == own
    found = api.get(CONFIG_MAPS, own, state["id"].split("/")[1])
    assert found["metadata"]["labels"]["uid"] == trial.state("place")["outputs"]["metadata"]["uid"]

    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0
    assert not [item for item in api.read("/api/v1/namespaces")["items"] if item["metadata"]["name"] == own]


def test_the_state_has_the_official_names(trial: Trial, namespace: str) -> None:
    secret = {"metadata": {"name": "golden"}, "stringData": {"pw": {"$secret": "hunter2-in-clear"}}}
    trial.up(Entry("auto", "core/v1:ConfigMap", {"data": {"k": "1"}}), Entry("golden", "core/v1:Secret", secret))

    auto, golden = trial.state("auto"), trial.state("golden")
    assert set(auto["outputs"]) == {"apiVersion", "kind", "metadata", "data"} | NOTES
    assert auto["outputs"]["metadata"]["annotations"] == {"pulumi.com/autonamed": "true"}
    assert auto["outputs"]["__initialApiVersion"] == "v1"
    assert re.fullmatch(r"pulumi-kubernetes-[0-9a-f]{8}", auto["outputs"]["__fieldManager"])
    assert auto["outputs"]["__inputs"] == auto["inputs"]
    assert auto["inputs"]["metadata"]["namespace"] == namespace

    assert set(golden["outputs"]) == {"apiVersion", "kind", "metadata", "data", "type"} | NOTES
    assert golden["id"] == f"{namespace}/golden"
    for data in (golden["outputs"]["data"], golden["outputs"]["__inputs"]["data"], golden["inputs"]["data"]):
        assert data[SECRET_MARK] == "1b47061264138c4ac30d75fd1eb44270"
        assert "ciphertext" in data
    for clear in ("hunter2-in-clear", "aHVudGVyMi1pbi1jbGVhcg"):
        assert clear not in trial.project.state_text()
        assert clear not in trial.run("preview", "--diff", "--json").stdout
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_drift_is_seen_told_and_taken_back(trial: Trial, api: Api, namespace: str) -> None:
    mine, lost = config_map("mine", labels={"owner": "us"}), config_map("lost")
    trial.up(mine, lost)
    change = {"metadata": {"labels": {"owner": "them"}}}
    api.patch(CONFIG_MAPS, namespace, "mine", change, content_type=MERGE_PATCH, manager="somebody-else", dry_run=False)
    api.delete(CONFIG_MAPS, namespace, "lost", propagation="Background")

    refreshed = trial.run("refresh", "--yes", "--skip-preview").stdout
    assert "[diff: ~metadata]" in refreshed
    assert "somebody-else manages fields of it" in trial.run("preview").stdout
    refused = trial.fail(mine, lost)
    assert ".metadata.labels.owner: managed by somebody-else" in refused
    assert "pulumi.com/patchForce" in refused
    assert api.get(CONFIG_MAPS, namespace, "lost")["data"] == {"k": "1"}

    forced = config_map("mine", labels={"owner": "us"}, annotations={"pulumi.com/patchForce": "true"})
    trial.up(forced, lost)
    assert api.get(CONFIG_MAPS, namespace, "mine")["metadata"]["labels"] == {"owner": "us"}
    assert trial.unchanged()
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_what_exists_is_not_taken_over_but_can_be_imported(trial: Trial, api: Api, namespace: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "theirs"}, "data": {"k": "1"}}
    api.create(CONFIG_MAPS, namespace, body, manager="kubectl-create", dry_run=False)
    refused = trial.fail(config_map("theirs"))
    assert f"ConfigMap {namespace}/theirs exists already" in refused
    assert "import" in refused

    found = config_map("theirs")
    trial.up(Entry(found.name, found.type, found.inputs, {"import_": f"{namespace}/theirs"}))
    assert trial.state("theirs")["id"] == f"{namespace}/theirs"
    assert trial.unchanged()
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0
    assert not [item for item in api.items(CONFIG_MAPS, namespace) if item["metadata"]["name"] == "theirs"]


def test_what_is_ignored_stays_as_it_is(trial: Trial, api: Api, namespace: str) -> None:
    def scaled(label: str) -> Entry:
        spec = {
            "replicas": 0,
            "selector": {"matchLabels": {"app": "scaled"}},
            "template": {
                "metadata": {"labels": {"app": "scaled"}},
                "spec": {"containers": [{"name": "c", "image": "none.invalid/none:1"}]},
            },
        }
        metadata = {"name": "scaled", "labels": {"v": label}, "annotations": {"pulumi.com/skipAwait": "true"}}
        return Entry(
            "scaled", "apps/v1:Deployment", {"metadata": metadata, "spec": spec}, {"ignore_changes": ["spec.replicas"]}
        )

    trial.up(scaled("1"))
    change = {"spec": {"replicas": 1}}
    api.patch(DEPLOYMENTS, namespace, "scaled", change, content_type=MERGE_PATCH, manager="scaler", dry_run=False)
    trial.up(scaled("2"))
    live = api.get(DEPLOYMENTS, namespace, "scaled")
    assert (live["spec"]["replicas"], live["metadata"]["labels"]["v"]) == (1, "2")
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_a_kind_and_its_object_in_one_program(trial: Trial, namespace: str) -> None:
    group = f"{namespace}.example.com"
    schema = {"type": "object", "x_kubernetes_preserve_unknown_fields": True}
    definition = {
        "metadata": {"name": f"gears.{group}"},
        "spec": {
            "group": group,
            "scope": "Namespaced",
            "names": {"plural": "gears", "singular": "gear", "kind": "Gear"},
            "versions": [
                {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}},
            ],
        },
    }

    def gear(size: int) -> Entry:
        wait = {"pulumi.com/waitFor": "jsonpath={.spec.size}"}
        inputs = {"metadata": {"name": "gear", "annotations": wait}, "spec": {"size": size}}
        return Entry("gear", f"{group}/v1:Gear", inputs, {"after": ["gears"]})

    kind = Entry("gears", "apiextensions.k8s.io/v1:CustomResourceDefinition", definition)
    assert trial.preview(kind, gear(1))["gear"]["ops"] == ["create"]
    trial.up(kind, gear(1))
    assert trial.state("gear")["id"] == f"{namespace}/gear"
    assert list(trial.preview(kind, gear(2))["gear"]["detailedDiff"]) == ["spec.size"]
    trial.up(kind, gear(2))
    assert trial.unchanged()
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_somebody_elses_object_is_patched_and_left(trial: Trial, api: Api, namespace: str) -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {"k": "1"}}
    api.create(CONFIG_MAPS, namespace, body, manager="owner", dry_run=False)
    patch = {"kind": "ConfigMap", "metadata": {"name": "shared"}, "data": {"extra": "2"}}
    trial.up(Entry("shared", "core/v1:ConfigMapPatch", patch))
    assert api.get(CONFIG_MAPS, namespace, "shared")["data"] == {"k": "1", "extra": "2"}
    assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0
    assert api.get(CONFIG_MAPS, namespace, "shared")["data"] == {"k": "1"}


def test_the_server_refuses_in_a_preview_already(trial: Trial) -> None:
    wrong = {"metadata": {"name": "wrong"}, "spec": {"ports": [{"port": 70000}]}}
    trial.write(Entry("wrong", "core/v1:Service", wrong))
    done = trial.run("preview")
    assert done.returncode != 0
    assert "must be between 1 and 65535" in done.stdout


def test_only_the_official_plugin_has_helm(trial: Trial) -> None:
    printed = trial.fail(Entry("chart", "helm.sh/v3:Release", {"chart": "nginx"}))
    assert "Helm (kubernetes:helm.sh/v3:Release) needs the official Pulumi plugin" in printed
    assert "pulumi plugin install resource kubernetes" in printed


def test_a_cluster_that_is_away(trial: Trial, kubeconfig: Path) -> None:
    document = yaml.safe_load(kubeconfig.read_text())
    document["clusters"][0]["cluster"]["server"] = "https://127.0.0.1:1"
    printed = trial.fail(config_map("nowhere"), kubeconfig=json.dumps(document))
    assert "The Kubernetes cluster cannot be reached: https://127.0.0.1:1 does not answer" in printed

    printed = trial.fail(config_map("nowhere"), kubeconfig=str(kubeconfig), context="other")
    assert "the kubeconfig has no context 'other'" in printed
