"""A state that an early commit's `up` wrote opens under the present code, and nothing in it has to be made anew."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from deployer.backup import _open_state
from deployer.plugins.kubernetes.check import check
from deployer.plugins.kubernetes.kinds import Kind, kind_of
from deployer.plugins.kubernetes.planning import plan
from deployer.plugins.kubernetes.settings import load_settings
from deployer.plugins.kubernetes.state import read_checkpoint
from deployer.plugins.values import reveal
from deployer.report import Silent
from deployer.stack_file import load_stack_file
from deployer.workspace import ROOT, Workspace, load_workspace
from stacks.program import deploy
from tests.infra.configs import DEV
from tests.infra.recording import Recording, record

Json = dict[str, Any]

# Exported after the first `up` of that commit; its secrets are made up.
STATES = sorted((Path(__file__).parent / "data").glob("dev-*.json.gz"))
SECRET = "4dabf18193072939515e22adb298388d"
# What later commits took away or renamed on purpose, by the last part of its URN; nothing that holds data may be here.
GONE: frozenset[str] = frozenset()
HOLDS_DATA = {"StatefulSet", "PersistentVolumeClaim", "Namespace", "RandomPassword"}


@pytest.fixture(scope="module", params=STATES, ids=lambda path: path.name)
def resources(request: pytest.FixtureRequest) -> list[Json]:
    """Read a stored state."""
    loaded: list[Json] = json.loads(gzip.decompress(request.param.read_bytes()))["resources"]
    return loaded


@pytest.fixture(scope="module")
def present(tmp_path_factory: pytest.TempPathFactory) -> Recording:
    """Record what today's program registers, with the images that it ran then."""
    root = tmp_path_factory.mktemp("checkout")
    (root / ".stampchat").mkdir()
    images = {name: f"stampchat.local/{name}@sha256:{'a1' * 32}" for name in ("services", "postgres", "gateway")}
    (root / ".stampchat" / "images.json").write_text(json.dumps(images))
    return record(lambda: deploy(root), DEV, stack="dev")


def own(resources: list[Json]) -> Iterator[Json]:
    """Leave out the stack, the components and the providers, which are the engine's own."""
    yield from (one for one in resources if one["custom"] and not one["type"].startswith("pulumi:"))


def test_everything_is_known_by_the_name_that_it_had(resources: list[Json], present: Recording) -> None:
    """A name of another kind or parent would be a deletion and a creation."""
    today = {one.urn for one in present.resources}
    missing = [one["urn"].rpartition("::")[2] for one in own(resources) if one["urn"] not in today]

    assert len(list(own(resources))) > 50
    assert set(missing) == GONE
    assert not [one for one in own(resources) if one["urn"] not in today and one["type"].split(":")[-1] in HOLDS_DATA]


def test_no_object_is_replaced(resources: list[Json], present: Recording) -> None:
    """By the very plan that a preview makes."""
    today = {one.urn: one.inputs for one in present.resources}
    replaced = {
        one["urn"].rpartition("::")[2]: found
        for one in own(resources)
        if one["type"].startswith("kubernetes:") and one["urn"] in today
        for found in [replaces(one, today[one["urn"]])]
        if found
    }

    assert replaced == {}


def test_no_secret_is_generated_anew(resources: list[Json], present: Recording) -> None:
    """The key that signs tokens, and the databases' passwords: another length would be another password."""
    today = {one.urn: one.inputs for one in present.resources}
    passwords = [one for one in own(resources) if one["type"].startswith("random:")]

    assert len(passwords) > 5
    assert {one["urn"]: one["inputs"] for one in passwords} == {one["urn"]: today[one["urn"]] for one in passwords}


def test_the_engine_opens_it(resources: list[Json], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And hands it out again, secrets and all."""
    for name in ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE", "PULUMI_BACKEND_URL"):
        monkeypatch.delenv(name, raising=False)
    for name in ("Pulumi.yaml", "Pulumi.dev.yaml"):
        (tmp_path / name).write_text((ROOT / name).read_text())
    workspace = Workspace(root=tmp_path, home=tmp_path / ".stampchat", cache=load_workspace().cache)
    pulumi = _open_state(workspace, "dev", load_stack_file(tmp_path / "Pulumi.dev.yaml"), Silent())
    pulumi.init_stack()
    state = json.loads(pulumi.read("stack", "export"))
    state["deployment"]["resources"] = as_plain_text(resources)
    (tmp_path / "state.json").write_text(json.dumps(state))

    pulumi.read("stack", "import", "--file", str(tmp_path / "state.json"))

    opened = json.loads(pulumi.read("stack", "export", "--show-secrets"))["deployment"]["resources"]
    assert {one["urn"] for one in opened} == {one["urn"] for one in resources}
    assert "made-up" not in pulumi.read("stack", "export")


def replaces(one: Json, inputs: Mapping[str, Any]) -> list[str]:
    """Return the fields for which an object would be made anew."""
    kind = kind_of(one["urn"], reveal(one["inputs"]))
    settings = load_settings({"enableConfigMapMutable": "true", "enableSecretMutable": "true"})
    olds = reveal(one["inputs"])
    news = check(one["urn"], dict(inputs), olds, namespace_for=lambda _: "", seed=b"", proposed=None)
    return plan(
        read_checkpoint(one["outputs"]),
        reveal(news),
        kind=kind,
        namespaced=namespaced(kind, olds),
        patches_only=False,
        settings=settings,
    ).replaces


def namespaced(kind: Kind, manifest: Mapping[str, Any]) -> bool:
    """Say whether an object lives in a namespace; ours name it."""
    return kind.namespaced is not False and "namespace" in manifest["metadata"]


def as_plain_text(value: Any) -> Any:
    """Write secrets as the engine takes them in."""
    if isinstance(value, dict):
        if SECRET in value:
            return {SECRET: value[SECRET], "plaintext": json.dumps(value["value"])}
        return {key: as_plain_text(item) for key, item in value.items()}
    return [as_plain_text(item) for item in value] if isinstance(value, list) else value


def test_the_plan_would_tell(resources: list[Json], present: Recording) -> None:
    """A selector cannot change in place, so this very comparison has to say so."""
    today = {one.urn: one.inputs for one in present.resources}
    (one,) = [one for one in own(resources) if one["urn"].endswith("Deployment::stamp-chat-auth")]
    changed = json.loads(json.dumps(today[one["urn"]]))
    changed["spec"]["selector"]["matchLabels"]["another"] = "label"

    assert replaces(one, changed) == ["spec.selector.matchLabels.another"]
