"""The policy pack's rules: each finds its violation, and nothing is wrong with what we deploy."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from infra.builders.container import ContainerSpec
from infra.builders.objects import Rollout, deployment
from infra.builders.pod import PodSpec
from infra.builders.probes import http_probes
from infra.sizes import SERVICE
from policy.workloads import RULES
from tests.infra.configs import IMAGES

Json = dict[str, Any]
DEPLOYMENT = "kubernetes:apps/v1:Deployment"


def good() -> Json:
    spec = ContainerSpec(
        name="serve",
        image=IMAGES["services"],
        size=SERVICE,
        env={"STAMPCHAT_PRIVATE_KEY_FILE": "/run/stampchat/secrets/private_key"},
        ports={"internal": 3010},
        probes=http_probes("internal", live="/livez", ready="/readyz"),
    )
    return copy.deepcopy(
        deployment(PodSpec(name="some", component="service", containers=[spec]), "stampchat", Rollout())
    )


def judge(props: Json, resource_type: str = DEPLOYMENT) -> list[str]:
    return [f"{rule.name}: {problem}" for rule in RULES for problem in rule.judge(resource_type, props)]


def change_pod(**changed: Any) -> Callable[[Json], None]:
    return lambda props: props["spec"]["template"]["spec"].update(changed)


def change_container(**changed: Any) -> Callable[[Json], None]:
    return lambda props: props["spec"]["template"]["spec"]["containers"][0].update(changed)


def change_context(**changed: Any) -> Callable[[Json], None]:
    return lambda props: props["spec"]["template"]["spec"]["containers"][0]["securityContext"].update(changed)


def test_what_we_build_is_good() -> None:
    """The builders keep to every rule by themselves."""
    assert judge(good()) == []


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (change_container(livenessProbe=None), "workload-probes: container serve has no livenessProbe"),
        (change_container(readinessProbe=None), "workload-probes: container serve has no readinessProbe"),
        (
            lambda props: change_container(
                readinessProbe=props["spec"]["template"]["spec"]["containers"][0]["livenessProbe"]
            )(props),
            "workload-probes: container serve asks the same for life and for readiness",
        ),
        (
            change_container(resources={"requests": {"cpu": "1", "memory": "1Mi"}}),
            "workload-limits: container serve has no cpu in its limits",
        ),
        (change_pod(hostNetwork=True), "workload-restricted: the pod shares the node's Network"),
        (
            change_pod(volumes=[{"name": "node", "hostPath": {"path": "/"}}]),
            "workload-restricted: volume node is of a kind that restricted refuses",
        ),
        (change_pod(securityContext={}), "workload-restricted: container serve has no seccomp profile"),
        (change_context(runAsNonRoot=False), "workload-restricted: container serve may run as root"),
        (change_context(runAsUser=1000), "workload-restricted: container serve runs as a user of 10000 or below"),
        (change_context(allowPrivilegeEscalation=None), "workload-restricted: container serve may gain privileges"),
        (change_context(readOnlyRootFilesystem=False), "workload-restricted: container serve may write to its root"),
        (change_context(capabilities={}), "workload-restricted: container serve keeps capabilities"),
        (
            change_context(capabilities={"drop": ["ALL"], "add": ["NET_ADMIN"]}),
            "workload-restricted: container serve adds capabilities",
        ),
        (change_container(ports=[{"hostPort": 80}]), "workload-restricted: container serve takes a port of the node"),
        (change_container(image="postgres:16"), "image-by-digest: container serve runs postgres:16"),
        (
            change_container(env=[{"name": "DATABASE_URL", "value": "postgresql://made-up"}]),
            "no-secret-in-env: container serve has DATABASE_URL in its environment",
        ),
        (
            change_container(env=[{"name": "X", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]),
            "no-secret-in-env: container serve takes X from a Secret",
        ),
        (
            change_container(envFrom=[{"secretRef": {"name": "s"}}]),
            "no-secret-in-env: container serve takes a whole Secret",
        ),
        (change_pod(serviceAccountName="default"), "workload-identity: it runs as the namespace's default"),
        (change_pod(automountServiceAccountToken=None), "workload-identity: it does not say whether it wants a token"),
        (lambda props: props["metadata"].update(namespace="default"), "workload-identity: it is in the default name"),
    ],
)
def test_each_violation_is_found(spoil: Callable[[Json], None], said: str) -> None:
    """And named by its rule and its container."""
    props = good()
    spoil(props)

    assert [problem for problem in judge(props) if problem.startswith(said)]


def test_an_init_container_is_judged_too() -> None:
    """It runs with the same rights."""
    props = good()
    props["spec"]["template"]["spec"]["initContainers"] = [{"name": "migrate", "image": "x:latest"}]

    assert "image-by-digest: container migrate runs x:latest, which is not named by digest" in judge(props)


def test_a_job_needs_no_probes_and_a_cron_jobs_pod_is_found() -> None:
    """What runs to an end is never ready."""
    template = good()["spec"]["template"]
    for part in ("livenessProbe", "readinessProbe", "startupProbe"):
        del template["spec"]["containers"][0][part]
    template["spec"]["containers"][0]["image"] = "x:latest"
    props = {"metadata": {"namespace": "stampchat"}, "spec": {"jobTemplate": {"spec": {"template": template}}}}

    assert judge(props, "kubernetes:batch/v1:CronJob") == [
        "image-by-digest: container serve runs x:latest, which is not named by digest"
    ]


def test_what_is_no_workload_is_left_alone() -> None:
    """A Service has no pods of its own."""
    assert judge({"spec": {"ports": []}}, "kubernetes:core/v1:Service") == []
