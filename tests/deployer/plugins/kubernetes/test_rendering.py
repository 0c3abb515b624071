"""Render a program to a folder through the real engine, without any cluster."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import pytest
import yaml

from deployer.plugins.kubernetes.configuration import replacing_arguments
from tests.deployer.plugins.engine_project import EngineProject

PROGRAM = """
import pulumi, pulumi_kubernetes as k8s
provider = k8s.Provider("to-files", render_yaml_to_directory={folder!r}, kubeconfig="/nowhere")
options = pulumi.ResourceOptions(provider=provider)
space = k8s.core.v1.Namespace("space", metadata={{"name": "space"}}, opts=options)
k8s.core.v1.ConfigMap(
    "settings",
    metadata={{"name": {name!r}, "namespace": space.metadata["name"]}},
    data={{"a": {value!r}}},
    opts=options,
)
made = k8s.core.v1.ConfigMap("made", data={{"b": "2"}}, opts=options)
k8s.core.v1.Secret(
    "secret", metadata={{"name": "secret"}}, string_data={{"key": pulumi.Output.secret("value")}}, opts=options
)
k8s.apiextensions.v1.CustomResourceDefinition(
    "things",
    metadata={{"name": "things.example.org"}},
    spec={{
        "group": "example.org",
        "names": {{"kind": "Thing", "plural": "things"}},
        "scope": "Namespaced",
        "versions": [
            {{"name": "v1", "served": True, "storage": True, "schema": {{"openAPIV3Schema": {{"type": "object"}}}}}}
        ],
    }},
    opts=options,
)
pulumi.export("made", made.metadata["name"])
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Name a folder that is not there yet."""
    return tmp_path / "rendered"


def files(folder: Path) -> dict[str, Any]:
    """Return what is rendered, by the file's path."""
    return {str(path.relative_to(folder)): yaml.safe_load(path.read_text()) for path in sorted(folder.rglob("*.yaml"))}


def test_a_program_becomes_files_that_follow_it(project: EngineProject, folder: Path) -> None:
    """Preview writes nothing, an update all, a change one, a rename moves one, destroy removes all."""
    project.write(PROGRAM.format(folder=str(folder), name="settings", value="1"))
    project.run("preview")
    assert not folder.exists()

    printed = project.up()

    rendered = files(folder)
    made = project.resources()["made"]["outputs"]["metadata"]["name"]
    assert made.startswith("made-")
    assert list(rendered) == [
        "0-crd/apiextensions.k8s.io_v1-customresourcedefinition-default-things.example.org.yaml",
        f"1-manifest/v1-configmap-default-{made}.yaml",
        "1-manifest/v1-configmap-space-settings.yaml",
        "1-manifest/v1-namespace-default-space.yaml",
        "1-manifest/v1-secret-default-secret.yaml",
    ]
    settings = rendered["1-manifest/v1-configmap-space-settings.yaml"]
    assert settings["metadata"]["name"] == "settings"
    assert settings["data"] == {"a": "1"}
    assert "holds a secret that everybody can read" in printed
    secret = folder / "1-manifest/v1-secret-default-secret.yaml"
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert project.resources()["settings"]["id"] == "space/settings"
    assert '"value"' not in project.state_text()

    project.run("preview", "--expect-no-changes")
    project.run("refresh", "--yes")
    project.write(PROGRAM.format(folder=str(folder), name="other", value="2"))
    project.up()

    rendered = files(folder)
    assert "1-manifest/v1-configmap-space-settings.yaml" not in rendered
    assert rendered["1-manifest/v1-configmap-space-other.yaml"]["data"] == {"a": "2"}
    assert len(rendered) == 5

    project.run("destroy", "--yes")
    assert files(folder) == {}


def test_what_cannot_be_rendered_says_so(project: EngineProject, folder: Path) -> None:
    """A patch has no file, and a folder may be none."""
    folder.write_text("a file")
    project.write(PROGRAM.format(folder=str(folder), name="settings", value="1"))
    failed = project.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode
    assert "cannot be written" in failed.stdout + failed.stderr

    project.write(
        "import pulumi, pulumi_kubernetes as k8s\n"
        f"provider = k8s.Provider('to-files', render_yaml_to_directory={str(folder)!r})\n"
        "k8s.core.v1.ConfigMapPatch('p', metadata={'name': 'x'}, data={'a': '1'},"
        " opts=pulumi.ResourceOptions(provider=provider))\n"
    )
    failed = project.run("up", "--yes", "--skip-preview", check=False)
    assert failed.returncode
    assert "A patch cannot be rendered" in failed.stdout + failed.stderr


def test_another_folder_is_another_place() -> None:
    """And so is a cluster in the place of a folder."""
    for olds, news in (
        ({"renderYamlToDirectory": "a"}, {"renderYamlToDirectory": "b"}),
        ({"renderYamlToDirectory": "a"}, {}),
    ):
        assert replacing_arguments(olds, news) == ["renderYamlToDirectory"]
    assert replacing_arguments({"renderYamlToDirectory": "a"}, {"renderYamlToDirectory": "a", "context": "x"}) == []
