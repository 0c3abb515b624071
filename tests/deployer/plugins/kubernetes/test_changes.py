"""What a change of each kind plans and does, by the real engine on a real cluster."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from deployer.plugins.kubernetes.api import Api, Resource
from tests.deployer.plugins.kubernetes.programs import Entry, Trial

pytestmark = pytest.mark.cluster

SKIP = {"pulumi.com/skipAwait": "true"}
POD = {"containers": [{"name": "c", "image": "none.invalid/none:1"}]}
CONFIG_MAPS = Resource("v1", "configmaps", namespaced=True)

SAME: tuple[str, tuple[str, ...]] = ("same", ())


def template(app: str, **pod: Any) -> dict[str, Any]:
    return {"metadata": {"labels": {"app": app}}, "spec": {**POD, **pod}}


def workload(app: str, **spec: Any) -> dict[str, Any]:
    metadata = {"name": app, "annotations": SKIP}
    chosen = {"replicas": 0, "selector": {"matchLabels": {"app": app}}, "template": template(app), **spec}
    return {"metadata": metadata, "spec": chosen}


def requests(cpu: Any, memory: str) -> dict[str, Any]:
    container = {**POD["containers"][0], "resources": {"requests": {"cpu": cpu, "memory": memory}}}
    return template("quantities", containers=[container])


@dataclass(frozen=True)
class Row:
    """A resource before and after, and what the plan must say.

    Attributes:
        name: the resource.
        type: its type.
        before: its inputs at first.
        after: its inputs then.
        op: what happens to it.
        paths: the changed properties.
    """

    name: str
    type: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    op: str
    paths: tuple[str, ...]


def named(name: str, **inputs: Any) -> dict[str, Any]:
    return {"metadata": {"name": name, "annotations": SKIP}, **inputs}


ROLE_REF = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "role"}
RULE = {"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}
CLAIM = {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}, "storageClassName": "none"}
PEER = {"from": [{"podSelector": {"matchLabels": {"a": "b"}}}]}
# What makes place for its successor goes first; what was named by us goes last.
FIRST, LAST, UPDATE = "the old one goes first", "the old one goes last", "update"

ROWS = [
    Row("map", "core/v1:ConfigMap", named("map", data={"k": "1"}), named("map", data={"k": "2"}), FIRST, ("data.k",)),
    Row("auto", "core/v1:ConfigMap", {"data": {"k": "1"}}, {"data": {"k": "2"}}, LAST, ("data.k",)),
    Row(
        "labelled",
        "core/v1:ConfigMap",
        {"metadata": {"name": "labelled", "labels": {"a.b/c": "1", "gone": "x"}}},
        {"metadata": {"name": "labelled", "labels": {"a.b/c": "2", "new": "y"}}},
        UPDATE,
        ('metadata.labels["a.b/c"]', "metadata.labels.gone", "metadata.labels.new"),
    ),
    Row("renamed", "core/v1:ConfigMap", named("renamed"), named("renamed-2"), LAST, ("metadata.name",)),
    Row(
        "secret",
        "core/v1:Secret",
        named("secret", stringData={"k": "1"}),
        named("secret", stringData={"k": "2"}),
        FIRST,
        ("data.k",),
    ),
    Row(
        "respelled",
        "core/v1:Secret",
        named("respelled", stringData={"k": "1"}),
        named("respelled", data={"k": "MQ=="}, stringData=None),
        *SAME,
    ),
    Row(
        "service",
        "core/v1:Service",
        named("service", spec={"selector": {"a": "b"}, "ports": [{"name": "w", "port": 80}]}),
        named(
            "service", spec={"selector": {"a": "b"}, "ports": [{"name": "w", "port": 81}, {"name": "x", "port": 82}]}
        ),
        UPDATE,
        ("spec.ports[0].port", "spec.ports[1]"),
    ),
    Row(
        "headless",
        "core/v1:Service",
        named("headless", spec={"clusterIP": "None", "ports": [{"port": 80}]}),
        named("headless", spec={"ports": [{"port": 80}]}),
        FIRST,
        ("spec.clusterIP",),
    ),
    Row(
        "replicas",
        "apps/v1:Deployment",
        workload("replicas"),
        workload("replicas", replicas=1),
        UPDATE,
        ("spec.replicas",),
    ),
    Row(
        "selector",
        "apps/v1:Deployment",
        workload("selector"),
        workload("selector", selector={"matchLabels": {"app": "s2"}}, template=template("s2")),
        FIRST,
        ("spec.selector.matchLabels.app", "spec.template.metadata.labels.app"),
    ),
    Row(
        "quantities",
        "apps/v1:Deployment",
        workload("quantities", template=requests("0.5", "1024Mi")),
        workload("quantities", template=requests("500m", "1Gi")),
        *SAME,
    ),
    Row(
        "empties",
        "apps/v1:Deployment",
        workload("empties", template=template("empties", tolerations=[], hostNetwork=False, nodeSelector={})),
        workload("empties", template=template("empties", volumes=None)),
        *SAME,
    ),
    Row(
        "set",
        "apps/v1:StatefulSet",
        workload("set", serviceName="a"),
        workload("set", serviceName="b"),
        FIRST,
        ("spec.serviceName",),
    ),
    Row(
        "job",
        "batch/v1:Job",
        named("job", spec={"suspend": True, "template": {"spec": {**POD, "restartPolicy": "Never"}}}),
        named("job", spec={"suspend": True, "template": {"spec": {**POD, "restartPolicy": "OnFailure"}}}),
        FIRST,
        ("spec.template.spec.restartPolicy",),
    ),
    Row(
        "role",
        "rbac.authorization.k8s.io/v1:Role",
        named("role", rules=[RULE]),
        named("role", rules=[{**RULE, "verbs": ["list"]}]),
        UPDATE,
        ("rules[0].verbs[0]",),
    ),
    Row(
        "binding",
        "rbac.authorization.k8s.io/v1:RoleBinding",
        named("binding", roleRef=ROLE_REF),
        named("binding", roleRef={**ROLE_REF, "name": "other"}),
        FIRST,
        ("roleRef.name",),
    ),
    Row(
        "claim",
        "core/v1:PersistentVolumeClaim",
        named("claim", spec=CLAIM),
        named("claim", spec={**CLAIM, "storageClassName": "other"}),
        FIRST,
        ("spec.storageClassName",),
    ),
    Row(
        "policy",
        "networking.k8s.io/v1:NetworkPolicy",
        named("policy", spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": []}),
        named("policy", spec={"podSelector": {}, "policyTypes": ["Ingress"], "ingress": [PEER]}),
        UPDATE,
        ("spec.ingress",),
    ),
    Row(
        "scaler",
        "autoscaling/v2:HorizontalPodAutoscaler",
        named(
            "scaler",
            spec={
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "replicas"},
                "maxReplicas": 2,
            },
        ),
        named(
            "scaler",
            spec={
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "replicas"},
                "maxReplicas": 3,
            },
        ),
        UPDATE,
        ("spec.maxReplicas",),
    ),
    Row(
        "budget",
        "policy/v1:PodDisruptionBudget",
        named("budget", spec={"selector": {"matchLabels": {"a": "b"}}, "maxUnavailable": 1}),
        named("budget", spec={"selector": {"matchLabels": {"a": "b"}}, "maxUnavailable": "50%"}),
        UPDATE,
        ("spec.maxUnavailable",),
    ),
    Row(
        "account",
        "core/v1:ServiceAccount",
        {"automountServiceAccountToken": False},
        {"automountServiceAccountToken": True},
        UPDATE,
        ("automountServiceAccountToken",),
    ),
]
KEPT = Entry("kept", "core/v1:ConfigMap", {"data": {"same": "1"}})


@dataclass(frozen=True)
class Planned:
    """A program that was created, changed and previewed.

    Attributes:
        trial: the program, with the new inputs.
        steps: what the preview plans.
    """

    trial: Trial
    steps: dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def planned(module_trial: Trial) -> Iterator[Planned]:
    module_trial.up(KEPT, *(Entry(row.name, row.type, row.before) for row in ROWS))
    assert module_trial.unchanged()
    yield Planned(module_trial, module_trial.preview(KEPT, *(Entry(row.name, row.type, row.after) for row in ROWS)))
    module_trial.run("destroy", "--yes", "--skip-preview")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_change_is_planned(planned: Planned, row: Row) -> None:
    step = planned.steps.get(row.name) or {"ops": ["same"]}
    assert step["ops"] == [row.op if row.op in ("same", UPDATE) else "replace"]
    assert sorted(step.get("detailedDiff") or {}) == sorted(row.paths)


def test_the_changes_are_made_and_then_there_is_nothing_to_do(planned: Planned, api: Api, namespace: str) -> None:
    printed = planned.trial.project.up()
    for row in ROWS:
        created, deleted = (
            printed.find(f" {row.name} {word}") for word in ("creating replacement", "deleting original")
        )
        assert (created != -1) == (row.op in (FIRST, LAST)), row.name
        assert (deleted < created) == (row.op == FIRST), row.name
    assert planned.trial.unchanged()
    assert api.get(CONFIG_MAPS, namespace, "labelled")["metadata"]["labels"] == {"a.b/c": "2", "new": "y"}
    # What was replaced before it was deleted is gone as well.
    autonamed = [item["metadata"]["name"] for item in api.items(CONFIG_MAPS, namespace)]
    assert [name.rsplit("-", 1)[0] for name in autonamed].count("auto") == 1


def test_a_refresh_of_what_did_not_drift_changes_nothing(planned: Planned) -> None:
    printed = planned.trial.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    assert printed.returncode == 0, printed.stdout
    assert planned.trial.unchanged()


def test_a_plan_says_nothing_secret(planned: Planned) -> None:
    assert "kept" not in planned.steps
    assert "MQ==" not in json.dumps(planned.steps)
