"""The rules about a whole stack: each finds its violation."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from policy.relations import STACK_RULES
from policy.rule import Thing

Json = dict[str, Any]
OWN = {"app": "auth"}


def metadata(name: str = "auth") -> Json:
    """Name an object."""
    return {"name": name, "namespace": "stampchat"}


GOOD: dict[str, Json] = {
    "apps/v1:Deployment": {
        "metadata": metadata(),
        "spec": {
            "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxUnavailable": 0}},
            "template": {
                "metadata": {"labels": {**OWN, "more": "x"}},
                "spec": {
                    "serviceAccountName": "auth",
                    "topologySpreadConstraints": [{"maxSkew": 1}],
                    "containers": [{"name": "serve", "ports": [{"name": "public", "containerPort": 3000}]}],
                },
            },
        },
    },
    "core/v1:Service": {
        "metadata": metadata(),
        "spec": {"selector": OWN, "ports": [{"port": 80, "targetPort": "public"}]},
    },
    "core/v1:ServiceAccount": {"metadata": metadata()},
    "networking.k8s.io/v1:NetworkPolicy": {
        "metadata": metadata(),
        "spec": {"podSelector": {"matchLabels": OWN}, "policyTypes": ["Ingress", "Egress"]},
    },
    "policy/v1:PodDisruptionBudget": {
        "metadata": metadata(),
        "spec": {"selector": {"matchLabels": OWN}, "maxUnavailable": 1, "unhealthyPodEvictionPolicy": "AlwaysAllow"},
    },
    "autoscaling/v2:HorizontalPodAutoscaler": {
        "metadata": metadata(),
        "spec": {"minReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "auth"}},
    },
}


def judge(stack: dict[str, Json]) -> list[str]:
    """Ask every rule."""
    things = [Thing(f"kubernetes:{kind}", props["metadata"]["name"], props) for kind, props in stack.items()]
    return [f"{rule.name}: {thing.kind} {problem}" for rule in STACK_RULES for thing, problem in rule.judge(things)]


def test_a_good_stack_is_let_be() -> None:
    """A policy for all pods of a namespace selects whatever is there."""
    everywhere = copy.deepcopy(GOOD)
    everywhere["networking.k8s.io/v1:NetworkPolicy"]["spec"]["podSelector"] = {}

    assert judge(GOOD) == []
    assert judge(everywhere) == []


def remove(kind: str) -> Callable[[dict[str, Json]], object]:
    """Leave an object out."""
    return lambda stack: stack.pop(kind)


def change(kind: str, **spec: Any) -> Callable[[dict[str, Json]], object]:
    """Change an object's spec."""
    return lambda stack: stack[kind]["spec"].update(spec)


def change_pod(**spec: Any) -> Callable[[dict[str, Json]], object]:
    """Change the pod's."""
    return lambda stack: stack["apps/v1:Deployment"]["spec"]["template"]["spec"].update(spec)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change("core/v1:Service", selector={"app": "x"}), "selects-something: Service selects no pod"),
        (
            change("networking.k8s.io/v1:NetworkPolicy", podSelector={"matchLabels": {"app": "x"}}),
            "selects-something: NetworkPolicy selects no pod",
        ),
        (
            change("core/v1:Service", ports=[{"port": 80, "targetPort": "admin"}]),
            "ports-exist: Service sends to the port admin, which auth does not have",
        ),
        (change("core/v1:Service", ports=[{"port": 81}]), "ports-exist: Service sends to the port 81"),
        (remove("networking.k8s.io/v1:NetworkPolicy"), "isolated: Deployment is open to egress"),
        (
            change("networking.k8s.io/v1:NetworkPolicy", policyTypes=["Egress"]),
            "isolated: Deployment is open to ingress",
        ),
        (remove("core/v1:ServiceAccount"), "accounts-exist: Deployment runs as the ServiceAccount auth"),
        (
            change("autoscaling/v2:HorizontalPodAutoscaler", scaleTargetRef={"kind": "Deployment", "name": "x"}),
            "scaled-by-one: HorizontalPodAutoscaler scales Deployment x",
        ),
        (change("autoscaling/v2:HorizontalPodAutoscaler", minReplicas=1), "scaled-by-one: Horizontal"),
        (change("apps/v1:Deployment", replicas=3), "scaled-by-one: Deployment has a number of replicas"),
        (remove("policy/v1:PodDisruptionBudget"), "budgeted: Deployment has several pods and no PodDisruptionBudget"),
        (change("policy/v1:PodDisruptionBudget", maxUnavailable=0), "budgeted: PodDisruptionBudget lets no pod go"),
        (
            change("policy/v1:PodDisruptionBudget", unhealthyPodEvictionPolicy="IfHealthyBudget"),
            "budgeted: PodDisruptionBudget holds pods that are broken",
        ),
        (change_pod(topologySpreadConstraints=[]), "budgeted: Deployment has several pods and nothing that spreads"),
        (change("apps/v1:Deployment", strategy={"type": "Recreate"}), "rolls-without-loss: Deployment may have fewer"),
    ],
)
def test_each_violation_is_found(spoil: Callable[[dict[str, Json]], object], said: str) -> None:
    """On the object that has to be mended."""
    stack = copy.deepcopy(GOOD)
    spoil(stack)

    found = judge(stack)

    assert [problem for problem in found if problem.startswith(said)], found
