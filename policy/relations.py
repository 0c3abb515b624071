"""Judge how a stack's resources fit together: selectors, ports, policies, budgets, autoscalers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from policy.rule import Json, StackRule, Thing

_WORKLOADS = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_LEAST_REPLICAS = 2


def judge_selectors(things: Sequence[Thing]) -> Iterator[tuple[Thing, str]]:
    """Ask that what selects pods selects some (dangling-service, dangling-networkpolicy, service-targets-pod)."""
    for thing in things:
        if thing.kind not in {"Service", "NetworkPolicy", "PodDisruptionBudget"}:
            continue
        selector = _selector(thing)
        # A policy for every pod of its namespace; a Service without a selector has its endpoints from elsewhere.
        if selector and not _selected(things, thing.namespace, selector):
            yield thing, "selects no pod of this stack"


def judge_ports(things: Sequence[Thing]) -> Iterator[tuple[Thing, str]]:
    """Ask that a Service's target ports are ports of its pods (invalid-target-ports)."""
    for thing in things:
        if thing.kind != "Service":
            continue
        for workload in _selected(things, thing.namespace, _selector(thing)):
            known = {
                key
                for container in _pod(workload).get("containers") or []
                for port in container.get("ports") or []
                for key in (port.get("name"), port.get("containerPort"))
            }
            for port in _spec(thing).get("ports") or []:
                target = port.get("targetPort") or port.get("port")
                if target not in known:
                    yield thing, f"sends to the port {target}, which {workload.name} does not have"


def judge_isolation(things: Sequence[Thing]) -> Iterator[tuple[Thing, str]]:
    """Ask that pods are closed both ways but for what a policy allows (non-isolated-pod, pod-networkpolicy)."""
    policies = [thing for thing in things if thing.kind == "NetworkPolicy"]
    for workload in _workloads(things):
        labels = _labels(workload)
        closed = {
            direction
            for policy in policies
            if policy.namespace == workload.namespace and _matches(_selector(policy), labels)
            for direction in _spec(policy).get("policyTypes") or []
        }
        for direction in sorted({"Ingress", "Egress"} - closed):
            yield workload, f"is open to {direction.lower()} from and to anywhere"


def judge_accounts(things: Sequence[Thing]) -> Iterator[tuple[Thing, str]]:
    """Ask that a workload's ServiceAccount exists (non-existent-service-account)."""
    known = {(thing.namespace, thing.name) for thing in things if thing.kind == "ServiceAccount"}
    for workload in _workloads(things):
        account = str(_pod(workload).get("serviceAccountName") or "")
        if account and (workload.namespace, account) not in known:
            yield workload, f"runs as the ServiceAccount {account}, which is not in this stack"


def judge_scaling(things: Sequence[Thing]) -> Iterator[tuple[Thing, str]]:
    """Ask autoscalers for a target whose count is theirs alone, and for several pods (hpa-*, deployment-replicas)."""
    workloads = {(thing.namespace, thing.kind, thing.name): thing for thing in _workloads(things)}
    for thing in things:
        if thing.kind != "HorizontalPodAutoscaler":
            continue
        target = _spec(thing).get("scaleTargetRef") or {}
        workload = workloads.get((thing.namespace, str(target.get("kind")), str(target.get("name"))))
        if workload is None:
            yield thing, f"scales {target.get('kind')} {target.get('name')}, which is not in this stack"
        elif _spec(workload).get("replicas") is not None:
            yield workload, "has a number of replicas, which its autoscaler and every update would fight over"
        if (_spec(thing).get("minReplicas") or 1) < _LEAST_REPLICAS:
            yield thing, "may leave a single pod"


def judge_budgets(things: Sequence[Thing]) -> Iterator[tuple[Thing, str]]:
    """Ask for a disruption budget that lets nodes be drained, wherever there is more than one pod (pdb-*)."""
    budgets = [thing for thing in things if thing.kind == "PodDisruptionBudget"]
    for budget in budgets:
        spec = _spec(budget)
        if spec.get("maxUnavailable") in (0, "0", "0%") or spec.get("minAvailable") == "100%":
            yield budget, "lets no pod go, so that no node can be drained"
        if spec.get("unhealthyPodEvictionPolicy") != "AlwaysAllow":
            yield budget, "holds pods that are broken anyway (unhealthyPodEvictionPolicy)"
    scaled = {
        (thing.namespace, str((_spec(thing).get("scaleTargetRef") or {}).get("name")))
        for thing in things
        if thing.kind == "HorizontalPodAutoscaler"
    }
    for workload in _workloads(things):
        several = (workload.namespace, workload.name) in scaled or (_spec(workload).get("replicas") or 1) > 1
        if several and not any(
            budget.namespace == workload.namespace and _matches(_selector(budget), _labels(workload))
            for budget in budgets
        ):
            yield workload, "has several pods and no PodDisruptionBudget"
        if several and not _pod(workload).get("topologySpreadConstraints"):
            yield workload, "has several pods and nothing that spreads them (no-anti-affinity)"


def judge_rollouts(things: Sequence[Thing]) -> Iterator[tuple[Thing, str]]:
    """Ask that an update takes no serving pod away first (no-rolling-update-strategy)."""
    for workload in things:
        if workload.kind != "Deployment":
            continue
        strategy = _spec(workload).get("strategy") or {}
        rolling = strategy.get("rollingUpdate") or {}
        if strategy.get("type") != "RollingUpdate" or rolling.get("maxUnavailable") not in (0, "0", "0%"):
            yield workload, "may have fewer pods than it should during an update"


def _workloads(things: Sequence[Thing]) -> list[Thing]:
    return [thing for thing in things if thing.kind in _WORKLOADS]


def _spec(thing: Thing) -> Json:
    return thing.props.get("spec") or {}


def _pod(workload: Thing) -> Json:
    return (_spec(workload).get("template") or {}).get("spec") or {}


def _labels(workload: Thing) -> dict[str, Any]:
    labels = ((_spec(workload).get("template") or {}).get("metadata") or {}).get("labels")
    return dict(labels.items()) if isinstance(labels, Mapping) else {}


def _selector(thing: Thing) -> dict[str, Any]:
    spec = _spec(thing)
    own = spec.get("selector")
    chosen = own if thing.kind == "Service" else (spec.get("podSelector") or own or {}).get("matchLabels")
    return dict(chosen.items()) if isinstance(chosen, Mapping) else {}


def _selected(things: Sequence[Thing], namespace: str, selector: Mapping[str, Any]) -> list[Thing]:
    return [
        workload
        for workload in _workloads(things)
        if selector and workload.namespace == namespace and _matches(selector, _labels(workload))
    ]


def _matches(selector: Mapping[str, Any], labels: Mapping[str, Any]) -> bool:
    return selector.items() <= labels.items()


STACK_RULES = (
    StackRule("selects-something", "What selects pods selects some of this stack's.", judge_selectors),
    StackRule("ports-exist", "A Service sends to ports that its pods have.", judge_ports),
    StackRule("isolated", "A pod is closed both ways but for the flows that a policy allows.", judge_isolation),
    StackRule("accounts-exist", "A workload's ServiceAccount is in the stack.", judge_accounts),
    StackRule("scaled-by-one", "An autoscaler owns its target's count, and keeps at least two.", judge_scaling),
    StackRule("budgeted", "Where there are several pods, they are spread and a budget keeps most.", judge_budgets),
    StackRule("rolls-without-loss", "An update starts a pod before it ends one.", judge_rollouts),
)
