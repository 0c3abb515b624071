from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from deployer.plugins.kubernetes.errors import KubernetesError
from deployer.plugins.kubernetes.readiness.certificate import certificate_troubles, issuer_troubles
from deployer.plugins.kubernetes.readiness.custom import make_judge
from deployer.plugins.kubernetes.readiness.deployment import judge_deployment
from deployer.plugins.kubernetes.readiness.jsonpath import select
from deployer.plugins.kubernetes.readiness.pods import diagnose
from deployer.plugins.kubernetes.readiness.settling import ready_if_settled
from deployer.plugins.kubernetes.readiness.stateful_set import judge_stateful_set
from deployer.plugins.kubernetes.readiness.subject import Subject, selector_text
from deployer.plugins.kubernetes.readiness.verdict import NEVER, Patience, Trouble

NOBODY = cast("Subject", None)


class FakeSubject:
    """Answer from lists what a Subject asks the cluster for."""

    def __init__(self, *events: dict[str, Any], since: float = 0.0) -> None:
        self.since = since
        self._events = list(events)

    def events(self, about: object) -> list[dict[str, Any]]:
        assert about
        return self._events

    def last_words(self, pod: dict[str, Any], container: str) -> str:
        return f"{pod['metadata']['name']}/{container} said this"


def pod(**status: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p"}, "spec": {"restartPolicy": "Always", "containers": [{}]}, "status": status}


def waiting(reason: str, message: str = "", **more: Any) -> dict[str, Any]:
    state = {"waiting": {"reason": reason, "message": message}}
    return pod(containerStatuses=[{"name": "c", "image": "i:1", "state": state, **more}])


def troubles(subject: FakeSubject, seen: dict[str, Any]) -> list[tuple[str, float]]:
    return [(trouble.key, trouble.patience) for trouble in diagnose(seen, cast("Subject", subject))]


ENDED = {"terminated": {"exitCode": 3, "reason": "Error", "finishedAt": "2026-01-01T00:00:00Z"}}
OOM = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}


@pytest.mark.parametrize(
    ("seen", "expected"),
    [
        (waiting("ContainerCreating"), []),
        (waiting("ErrImageNeverPull"), [("image:c", 2.0)]),
        (waiting("ErrImagePull", "rpc error: not found"), [("image:c", 2.0)]),
        (waiting("ImagePullBackOff", "dial tcp: i/o timeout"), [("image:c", 20.0)]),
        (waiting("CreateContainerConfigError", "no secret"), [("config:c", 10.0)]),
        (waiting("CrashLoopBackOff", lastState=ENDED, restartCount=1), [("crash:c:3", NEVER)]),
        (waiting("CrashLoopBackOff", lastState=ENDED, restartCount=2), [("crash:c:3", 0)]),
        (waiting("CrashLoopBackOff", lastState=OOM, restartCount=2), [("crash:c:137", 0)]),
        # It crashed once, and runs.
        (pod(containerStatuses=[{"name": "c", "state": {"running": {}}, "lastState": ENDED, "restartCount": 5}]), []),
        (pod(initContainerStatuses=[{"name": "i", "state": {"terminated": {"exitCode": 0}}}]), []),
        ({**waiting("ErrImagePull"), "metadata": {"name": "p", "deletionTimestamp": "now"}}, []),
    ],
)
def test_a_pod_is_diagnosed(seen: dict[str, Any], expected: list[tuple[str, float]]) -> None:
    assert troubles(FakeSubject(), seen) == expected


def test_a_crash_of_before_this_update_gets_another_chance() -> None:
    seen = waiting("CrashLoopBackOff", lastState=ENDED, restartCount=9)
    assert troubles(FakeSubject(since=time.time()), seen) == [("crash:c:3", 60.0)]


def test_a_crash_brings_its_last_words() -> None:
    seen = waiting("CrashLoopBackOff", lastState=OOM, restartCount=2)
    (trouble,) = diagnose(seen, cast("Subject", FakeSubject()))
    assert trouble.said() == "p/c said this"
    assert "crashes again and again (exit code 137, OOMKilled, 2 restarts)" in trouble.what


@pytest.mark.parametrize(
    ("message", "events", "patience"),
    [
        ("0/1 nodes are available: 1 Insufficient cpu.", [], 10.0),
        ("1 node(s) had untolerated taint {node.kubernetes.io/disk-pressure: }", [], 60.0),
        ("1 node(s) had untolerated taint {node.kubernetes.io/unschedulable: }", [], 10.0),
        ("pod has unbound immediate PersistentVolumeClaims", [], 60.0),
        ("0/1 nodes are available", [{"reason": "TriggeredScaleUp"}], NEVER),
    ],
)
def test_a_pod_without_a_node(message: str, events: list[dict[str, Any]], patience: float) -> None:
    scheduled = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    assert troubles(FakeSubject(*events), pod(conditions=[scheduled])) == [("unschedulable", patience)]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        ({"reason": "FailedMount", "message": "secret not found"}, [("mount", 30.0)]),
        ({"reason": "Unhealthy", "message": "Readiness probe failed"}, [("probe", 60.0)]),
        ({"reason": "Pulled"}, []),
    ],
)
def test_events_tell_what_the_status_does_not(event: dict[str, Any], expected: list[tuple[str, float]]) -> None:
    running = pod(containerStatuses=[{"name": "c", "state": {"running": {}}}])
    running["spec"]["containers"] = [{"readinessProbe": {}}]
    assert troubles(FakeSubject(event), running) == expected


def test_patience_counts_from_when_a_trouble_came_and_starts_anew_when_it_went() -> None:
    now = 0.0
    patience = Patience(lambda: now)
    image = Trouble("image", "no image", 2)
    assert patience.exhausted([image]) is None
    now = 1.9
    assert patience.exhausted([image]) is None
    assert patience.exhausted([]) is None
    now = 3.0
    assert patience.exhausted([image]) is None
    now = 5.0
    assert patience.exhausted([image]) is image


def rollout(**status: int) -> dict[str, Any]:
    return {"metadata": {"generation": 2}, "spec": {"replicas": 2}, "status": {"observedGeneration": 2, **status}}


@pytest.mark.parametrize(
    "status",
    [
        {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2},
    ],
)
def test_a_status_of_before_the_change_says_nothing(status: dict[str, int]) -> None:
    assert not judge_deployment(rollout(**status), NOBODY).ready
    assert not judge_stateful_set(rollout(readyReplicas=2, **status), NOBODY).ready


def test_rolled_out() -> None:
    done = rollout(replicas=2, updatedReplicas=2, availableReplicas=2, readyReplicas=2)
    assert judge_deployment(done, NOBODY).ready
    assert judge_stateful_set(done, NOBODY).ready


PODS = {
    "status": {"phase": "Up", "conditions": [{"type": "Ready", "status": "True"}, {"type": "X", "status": "False"}]}
}


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        (".status.phase", ["Up"]),
        ("$.status['phase']", ["Up"]),
        (".status.conditions[0].type", ["Ready"]),
        (".status.conditions[-1].type", ["X"]),
        (".status.conditions[*].status", ["True", "False"]),
        ('.status.conditions[?(@.type=="Ready")].status', ["True"]),
        (".status.conditions[?(@.type!='Ready')].status", ["False"]),
        (".status.none.deeper", []),
    ],
)
def test_jsonpath(path: str, expected: list[Any]) -> None:
    assert select(PODS, path) == expected


@pytest.mark.parametrize(
    ("annotation", "ready"),
    [
        ("jsonpath={.status.phase}", True),
        ("jsonpath={.status.phase}=Up", True),
        ("jsonpath={.status.phase}=Down", False),
        ("jsonpath={.status.none}", False),
        ("condition=Ready", True),
        ("condition=X", False),
        ("condition=X=False", True),
        ('["condition=Ready", "jsonpath={.status.phase}=Down"]', False),
    ],
)
def test_wait_for(annotation: str, ready: bool) -> None:  # noqa: FBT001
    assert make_judge(annotation)(PODS, NOBODY).ready == ready


@pytest.mark.parametrize("annotation", ["Ready", "jsonpath=.status", "[]", "jsonpath={.a}b"])
def test_wait_for_what_is_not_understood(annotation: str) -> None:
    with pytest.raises(KubernetesError, match=r"pulumi\.com/waitFor"):
        make_judge(annotation)


def test_selectors_as_a_query_has_them() -> None:
    expressions = [{"key": "e", "operator": "In", "values": ["1", "2"]}, {"key": "f", "operator": "DoesNotExist"}]
    assert selector_text({"matchLabels": {"a": "b"}, "matchExpressions": expressions}) == "a=b,e in (1,2),!f"


def running_since(seconds: float) -> dict[str, Any]:
    started = datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()
    return pod(containerStatuses=[{"name": "c", "state": {"running": {"startedAt": started}}}])


@pytest.mark.parametrize(
    ("container", "age", "ready"),
    [
        ({"readinessProbe": {}}, 0.0, True),
        ({}, 0.0, False),
        ({}, 5.0, True),
        # The node's clock is an hour ahead.
        ({}, -3600.0, True),
    ],
)
def test_ready_without_a_probe_must_last(container: dict[str, Any], age: float, ready: bool) -> None:  # noqa: FBT001
    live = {"spec": {"template": {"spec": {"containers": [container]}}}}
    assert ready_if_settled(live, lambda: [running_since(age)]).ready == ready


def conditions(*found: tuple[str, str, str, str]) -> dict[str, Any]:
    names = ("type", "status", "reason", "message")
    return {"status": {"conditions": [dict(zip(names, each, strict=True)) for each in found]}}


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({}, []),
        (conditions(("Issuing", "True", "DoesNotExist", "there is no Secret")), []),
        (conditions(("Issuing", "False", "Failed", "the order failed:\n\t400")), [("the order failed: 400", 0)]),
        (conditions(("Issuing", "False", "Failed", "")), [("the issuance has failed", 0)]),
    ],
)
def test_an_issuance_that_failed_is_definite(live: dict[str, Any], said: list[tuple[str, float]]) -> None:
    assert [(trouble.what, trouble.patience) for trouble in certificate_troubles(live)] == said


@pytest.mark.parametrize(
    ("live", "said"),
    [
        ({}, []),
        (conditions(("Ready", "True", "ACMEAccountRegistered", "registered")), []),
        (
            conditions(("Ready", "False", "ErrRegister", "400 urn:ietf:params:acme:error:invalidContact: no")),
            [("400 urn:ietf:params:acme:error:invalidContact: no", 2.0)],
        ),
        (conditions(("Ready", "False", "ErrRegister", "dial tcp: i/o timeout")), [("dial tcp: i/o timeout", 60.0)]),
    ],
)
def test_an_issuer_that_is_refused_is_definite_and_one_that_is_silent_is_not_yet(
    live: dict[str, Any], said: list[tuple[str, float]]
) -> None:
    assert [(trouble.what, trouble.patience) for trouble in issuer_troubles(live)] == said
