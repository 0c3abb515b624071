from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deployer import mend as subject
from deployer.abandoned import load_abandoned, note_abandoned
from deployer.errors import DeployError
from deployer.events import Outcome, parse_urn
from deployer.mend import Begun, mend, parse_begun
from deployer.project import state_file
from deployer.pulumi_process import Pulumi
from deployer.report import Silent
from deployer.workspace import Workspace


def urn(kind: str) -> str:
    return f"urn:pulumi:dev::stampchat::kubernetes:apps/v1:{kind}::x"


def operation(kind: str, does: str = "creating", **metadata: str) -> dict[str, Any]:
    inputs = {"apiVersion": "apps/v1", "kind": kind.rpartition(":")[2], "metadata": metadata}
    return {"type": does, "resource": {"type": kind, "urn": f"urn:pulumi:dev::stampchat::{kind}::x", "inputs": inputs}}


@pytest.fixture
def pulumi(tmp_path: Path) -> Pulumi:
    """An engine that notes what it was asked."""
    (tmp_path / "Pulumi.yaml").write_text("name: stampchat\n")
    workspace = Workspace(root=tmp_path, home=tmp_path / "home", cache=tmp_path / "cache")
    (workspace.state / "project").mkdir(parents=True)
    engine = tmp_path / "pulumi"
    engine.write_text(f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\n')
    engine.chmod(0o755)
    return Pulumi(engine, workspace, "dev", {})


def write_state(pulumi: Pulumi, *pending: dict[str, Any]) -> None:
    path = state_file(pulumi.workspace, "dev")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"checkpoint": {"latest": {"pending_operations": pending}}}))


def asked(pulumi: Pulumi) -> list[str]:
    path = pulumi.workspace.root / "asked"
    return path.read_text().splitlines() if path.exists() else []


def test_only_objects_whose_creation_was_cut_off_may_exist_unknown() -> None:
    pending = [
        operation("kubernetes:apps/v1:StatefulSet", name="db", namespace="stampchat"),
        operation("kubernetes:apps/v1:Namespace", name="stampchat"),
        operation("random:index/randomPassword:RandomPassword"),
        operation("kubernetes:apps/v1:Deployment", "deleting", name="old"),
    ]

    assert parse_begun(pending) == [
        Begun(urn("StatefulSet"), "apps/v1", "StatefulSet", "stampchat", "db"),
        Begun(urn("Namespace"), "apps/v1", "Namespace", "", "stampchat"),
    ]


def test_a_stack_in_order_is_left_alone(pulumi: Pulumi) -> None:
    write_state(pulumi)

    assert mend(pulumi, {}, Silent()) == []
    assert asked(pulumi) == []


def test_a_new_stack_gets_its_empty_state(pulumi: Pulumi) -> None:
    mend(pulumi, {}, Silent())

    assert asked(pulumi) == ["stack init dev --non-interactive"]


def test_a_stack_that_another_up_makes_at_this_very_moment_is_taken(pulumi: Pulumi) -> None:
    """Only an engine that made none is believed."""
    path = state_file(pulumi.workspace, "dev")
    pulumi.executable.write_text(f"""#!/bin/sh
        mkdir -p {path.parent}
        echo '{{"checkpoint": {{"latest": {{}}}}}}' >{path}
        echo "error: stack 'dev' already exists" >&2
        exit 255
        """)
    mend(pulumi, {}, Silent())
    path.unlink()
    pulumi.executable.write_text("#!/bin/sh\necho 'error: no' >&2\nexit 255\n")

    with pytest.raises(DeployError, match="stack init dev"):
        mend(pulumi, {}, Silent())


def test_what_left_no_object_is_simply_planned_anew(pulumi: Pulumi) -> None:
    write_state(pulumi, operation("random:index/randomPassword:RandomPassword"))

    assert mend(pulumi, {}, Silent()) == ["cleared up 1 operations that an earlier run did not finish"]
    assert asked(pulumi) == ["refresh --yes --skip-preview --clear-pending-creates --stack dev --non-interactive"]


def test_on_a_cluster_that_is_not_ours_what_exists_is_taken_in(pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is deleted there, and what was never made is planned anew."""
    write_state(
        pulumi,
        operation("kubernetes:apps/v1:Deployment", name="chat", namespace="stampchat"),
        operation("kubernetes:apps/v1:StatefulSet", name="db", namespace="stampchat"),
    )
    taken: list[str] = []
    monkeypatch.setattr(subject, "Kube", lambda *_: object())
    monkeypatch.setattr(subject, "find_manager", lambda _, begun: "ours" if begun.name == "chat" else "")
    monkeypatch.setattr(subject, "take_in", lambda _, begun: taken.extend(map(str, begun)))
    monkeypatch.setattr(subject, "take_back", lambda *_: pytest.fail("something was deleted"))

    mended = mend(pulumi, {"config": {"stampchat:place": "prod"}}, Silent())

    assert mended == ["cleared up 2 operations that an earlier run did not finish"]
    assert taken == ["Deployment stampchat/chat"]
    assert asked(pulumi) == ["refresh --yes --skip-preview --clear-pending-creates --stack dev --non-interactive"]


def test_what_is_taken_in_stands_in_the_state_behind_all_it_needs(pulumi: Pulumi) -> None:
    begun = operation("kubernetes:apps/v1:Deployment", name="chat", namespace="stampchat")
    other = operation("kubernetes:apps/v1:StatefulSet", name="db", namespace="stampchat")
    folder = pulumi.workspace.root
    state = {"version": 3, "deployment": {"resources": [{"urn": "first"}], "pending_operations": [begun, other]}}
    (folder / "state").write_text(json.dumps(state))
    pulumi.executable.write_text(
        f'#!/bin/sh\ncase "$*" in *export*) cat {folder}/state;; *) cp "$4" {folder}/imported;; esac\n'
    )

    subject.take_in(pulumi, dict.fromkeys(parse_begun([begun]), "pulumi-kubernetes-1"))

    found = json.loads((folder / "imported").read_text())["deployment"]
    resource = begun["resource"]
    assert found["resources"] == [
        {"urn": "first"},
        {
            **resource,
            "id": "stampchat/chat",
            "outputs": {**resource["inputs"], "__fieldManager": "pulumi-kubernetes-1"},
        },
    ]
    assert found["pending_operations"] == [other]
    assert list(pulumi.workspace.state.glob("*.json")) == []


URN = urn("Deployment")


def state_of(kind: str = "kubernetes:apps/v1:Deployment", **metadata: str) -> dict[str, Any]:
    """Return what the engine tells of a resource that it could not create."""
    inputs = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"secret": "[secret]"}}
    return {"urn": URN, "type": kind, "inputs": inputs}


@pytest.mark.parametrize(
    ("said", "noted"),
    [
        ("rpc error: code = Unavailable desc = error reading from server: EOF", True),
        ('transport: Error while dialing: dial tcp 127.0.0.1:35001: connect: connection refused"', True),
        ("Deployment stampchat/chat exists already and is not in this stack's state.", False),
        ("Deployment stampchat/chat cannot become ready: pod chat-1 crashes.", False),
    ],
)
def test_what_a_dead_plugin_was_making_is_noted_and_what_a_living_one_refused_is_not(
    pulumi: Pulumi, said: str, *, noted: bool
) -> None:
    """By name alone: nothing of what is in it is written down."""
    resource = parse_urn(URN)
    outcome = Outcome(errors=[(resource, said)], uncreated=[state_of(name="chat", namespace="stampchat")])

    note_abandoned(pulumi.workspace, "dev", outcome)

    found = load_abandoned(pulumi.workspace, "dev")
    assert [str(begun) for begun in parse_begun(found)] == (["Deployment stampchat/chat"] if noted else [])
    assert "secret" not in json.dumps(found)


@pytest.mark.parametrize(("known", "expected"), [(False, ["Deployment stampchat/chat"]), (True, [])])
def test_what_was_abandoned_is_taken_back_in_a_cluster_of_ours(
    pulumi: Pulumi,
    monkeypatch: pytest.MonkeyPatch,
    known: bool,  # noqa: FBT001  # a table
    expected: list[str],
) -> None:
    """Unless the state has it, since then or all along; and the note is gone."""
    outcome = Outcome(errors=[(parse_urn(URN), "EOF")], uncreated=[state_of(name="chat", namespace="stampchat")])
    note_abandoned(pulumi.workspace, "dev", outcome)
    write_state(pulumi)
    resources = [{"urn": URN}] if known else []
    state_file(pulumi.workspace, "dev").write_text(json.dumps({"checkpoint": {"latest": {"resources": resources}}}))
    taken: list[str] = []
    monkeypatch.setattr(subject, "Kube", lambda *_: object())
    monkeypatch.setattr(subject, "take_back", lambda _, begun: taken.append(str(begun)))

    mend(pulumi, {"config": {"stampchat:place": "dev"}}, Silent())

    assert taken == expected
    assert load_abandoned(pulumi.workspace, "dev") == []
    assert mend(pulumi, {"config": {"stampchat:place": "dev"}}, Silent()) == []
    assert asked(pulumi) == []


def test_what_was_abandoned_in_anybody_elses_cluster_is_asked_about(
    pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is deleted there, and until a person has said whose it is the note stays."""
    outcome = Outcome(errors=[(parse_urn(URN), "EOF")], uncreated=[state_of(name="chat", namespace="stampchat")])
    note_abandoned(pulumi.workspace, "dev", outcome)
    write_state(pulumi)
    monkeypatch.setattr(subject, "Kube", lambda *_: object())
    monkeypatch.setattr(subject, "take_back", lambda *_: pytest.fail("something was deleted"))
    there = ["pulumi-kubernetes"]
    monkeypatch.setattr(subject, "find_manager", lambda *_: there[0])

    for _ in range(2):
        with pytest.raises(DeployError, match="Deployment stampchat/chat may be half made"):
            mend(pulumi, {"config": {"stampchat:place": "prod"}}, Silent())
    there[0] = ""
    mend(pulumi, {"config": {"stampchat:place": "prod"}}, Silent())

    assert load_abandoned(pulumi.workspace, "dev") == []
