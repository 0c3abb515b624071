"""YAML in a program, by the official SDK: files, groups and lists, and what the official plugin alone can do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployer.plugins.kubernetes.api import Api, Resource
from tests.deployer.plugins.engine_project import EngineProject

pytestmark = pytest.mark.cluster

CONFIG_MAPS = Resource("v1", "configmaps", namespaced=True)
SERVICES = Resource("v1", "services", namespaced=True)

_PROGRAM = """
import pulumi
import pulumi_kubernetes as k8s

provider = k8s.Provider("cluster", kubeconfig={kubeconfig!r}, namespace={namespace!r})
options = pulumi.ResourceOptions(provider=provider)
{body}
"""

_MANIFEST = """\
# Two documents, one of them a list, and one that is empty.
apiVersion: v1
kind: ConfigMapList
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: first}, data: {k: "1"}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: second}, data: {k: "2"}}
---
---
apiVersion: v1
kind: Service
metadata: {name: third}
spec: {clusterIP: None, ports: [{port: 80}]}
"""


class Program:
    """A program that uses the typed SDK, in a project of the test's own."""

    def __init__(self, project: EngineProject, kubeconfig: Path, namespace: str) -> None:
        self.project = project
        self._values = {"kubeconfig": str(kubeconfig), "namespace": namespace}

    def write(self, body: str) -> None:
        self.project.write(_PROGRAM.format(body=body, **self._values))

    def fail(self, body: str) -> str:
        """Preview, which must fail, and return what was said."""
        self.write(body)
        done = self.project.run("preview", check=False)
        assert done.returncode != 0, done.stdout
        return done.stdout + done.stderr


@pytest.fixture
def program(project: EngineProject, kubeconfig: Path, namespace: str) -> Program:
    return Program(project, kubeconfig, namespace)


def names(api: Api, resource: Resource, namespace: str) -> set[str]:
    return {item["metadata"]["name"] for item in api.items(resource, namespace)} - {"kube-root-ca.crt"}


def test_a_file_and_a_group_are_their_objects(program: Program, api: Api, namespace: str) -> None:
    """Lists are their items, transformations are heard, a document that goes takes its object along."""
    file = program.project.folder / "objects.yaml"
    file.write_text(_MANIFEST)
    body = """
def label(manifest, _):
    manifest["metadata"].setdefault("labels", {{}})["seen"] = "yes"

k8s.yaml.ConfigFile("file", file={file!r}, transformations=[label], opts=options)
group = k8s.yaml.ConfigGroup("group", yaml=[{text!r}], resource_prefix="g", opts=options)
pulumi.export("fourth", group.get_resource("v1/ConfigMap", "g-fourth").metadata["name"])
"""
    fourth = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "fourth"}, "data": {"k": "4"}}'
    program.write(body.format(file=str(file), text=fourth))

    program.project.up()

    assert names(api, CONFIG_MAPS, namespace) == {"first", "second", "fourth"}
    assert api.get(CONFIG_MAPS, namespace, "first")["metadata"]["labels"] == {"seen": "yes"}
    assert names(api, SERVICES, namespace) == {"third"}
    assert program.project.run("preview", "--expect-no-changes", check=False).returncode == 0

    file.write_text("".join(line for line in _MANIFEST.splitlines(keepends=True) if "second" not in line))
    program.project.up()
    assert names(api, CONFIG_MAPS, namespace) == {"first", "fourth"}
    program.project.run("destroy", "--yes", "--skip-preview")
    assert names(api, CONFIG_MAPS, namespace) == set()


def test_components_of_the_second_version_are_their_objects_too(program: Program, api: Api, namespace: str) -> None:
    """Under the names that the official plugin gives them; what others live in comes first."""
    (program.project.folder / "one.yaml").write_text(_MANIFEST)
    own = f"{namespace}-v2"
    place = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": own}}
    inside = {**_config_map("inside"), "metadata": {"name": "inside", "namespace": own}}
    body = f"""
files = k8s.yaml.v2.ConfigFile("file", file="one.yaml", opts=options)
group = k8s.yaml.v2.ConfigGroup("group", yaml={json.dumps(json.dumps(inside))}, objs=[{place!r}], files=["*.yml"],
    resource_prefix="g", skip_await=True, opts=options)
pulumi.export("count", files.resources.apply(len))
"""
    (program.project.folder / "two.yml").write_text(json.dumps(_config_map("fourth")))
    program.write(body)
    assert program.project.run("preview").returncode == 0

    program.project.up()

    assert names(api, CONFIG_MAPS, namespace) == {"first", "second", "fourth"}
    assert names(api, CONFIG_MAPS, own) == {"inside"}
    state = program.project.resources()
    assert {"file:first", "file:second", "file:third", "g:fourth", f"g:{own}/inside", f"g:{own}"} <= set(state)
    assert state["file:first"]["parent"] == state["file"]["urn"]
    assert json.loads(program.project.run("stack", "output", "--json").stdout) == {"count": 3}
    assert program.project.run("preview", "--expect-no-changes", check=False).returncode == 0
    program.project.run("destroy", "--yes", "--skip-preview")
    assert names(api, CONFIG_MAPS, namespace) == set()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("k8s.yaml.v2.ConfigFile('x', file='none.yaml', opts=options)", "There is no file none.yaml."),
        ("k8s.yaml.v2.ConfigGroup('x', yaml='a: [1', opts=options)", "The YAML cannot be read."),
        ("k8s.yaml.v2.ConfigGroup('x', yaml='kind: ConfigMap', opts=options)", "has no apiVersion, no kind or no"),
        ("k8s.yaml.v2.ConfigFile('x', file='https://x.invalid/y', opts=options)", "needs the official Pulumi plugin"),
    ],
)
def test_a_component_that_cannot_be_made_says_why(program: Program, body: str, said: str) -> None:
    """In a preview already."""
    assert said in program.fail(body)


def _config_map(name: str) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"k": "1"}}


def test_yaml_that_is_none_says_where(program: Program) -> None:
    """By the reader's own words."""
    printed = program.fail("k8s.yaml.ConfigGroup('group', yaml=['a: [1, 2'], opts=options)")

    assert "The YAML cannot be read." in printed
    assert "line 1" in printed


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("k8s.helm.v3.Release('x', chart='nginx', opts=options)", "Helm (kubernetes:helm.sh/v3:Release)"),
        ("k8s.helm.v4.Chart('x', chart='nginx', opts=options)", "kubernetes:helm.sh/v4:Chart"),
        ("k8s.helm.v3.Chart('x', k8s.helm.v3.ChartOpts(chart='nginx'), opts=options)", "kubernetes:helm:template"),
        ("k8s.kustomize.Directory('x', directory='.', opts=options)", "kubernetes:kustomize:directory"),
        ("k8s.kustomize.v2.Directory('x', directory='.', opts=options)", "kubernetes:kustomize/v2:Directory"),
    ],
)
def test_what_only_the_official_plugin_can_do_names_it(program: Program, body: str, what: str) -> None:
    """One error, with the command that installs it."""
    printed = program.fail(body)

    assert f"{what}" in printed
    assert "needs the official Pulumi plugin for Kubernetes" in printed
    assert "pulumi plugin install resource kubernetes" in printed


def test_a_list_is_no_resource(program: Program) -> None:
    """Each of its items is one."""
    printed = program.fail("k8s.core.v1.ConfigMapList('x', items=[], opts=options)")

    assert "A ConfigMapList cannot be a resource: declare each of its items as one." in printed
