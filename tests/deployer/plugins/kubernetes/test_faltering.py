"""An API server that is busy, fails inside, or is cut off: nothing is lost, nothing is made twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deployer.plugins.kubernetes.api import Api, Resource
from tests.deployer.plugins.kubernetes.faltering import AFTER, BEFORE, Faltering, Fault, FirstOfEach
from tests.deployer.plugins.kubernetes.programs import Entry, Trial

pytestmark = pytest.mark.cluster

CONFIG_MAPS = Resource("v1", "configmaps", namespaced=True)
EVERY = ("GET", "POST", "PATCH", "PUT", "DELETE")
COUNT = 8


def through(address: str) -> str:
    """Return a kubeconfig that leads to a server without a certificate."""
    return json.dumps(
        {
            "current-context": "c",
            "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "users": [{"name": "u", "user": {}}],
        }
    )


def config_map(number: int, word: str) -> Entry:
    name = f"faltering-{number}"
    return Entry(name, "core/v1:ConfigMap", {"metadata": {"name": name}, "data": {"k": word}})


def things(word: str) -> list[Entry]:
    """Return what is waited for and what is not, with something in it that changes."""
    pod = {"containers": [{"name": "c", "image": "none.invalid/none:1"}]}
    template = {"metadata": {"labels": {"app": "f", "word": word}}, "spec": pod}
    spec = {"replicas": 0, "selector": {"matchLabels": {"app": "f"}}, "template": template}
    service = {"clusterIP": "None", "ports": [{"port": 1}]}
    return [
        *(config_map(number, word) for number in range(COUNT)),
        Entry("deployment", "apps/v1:Deployment", {"metadata": {"name": "f"}, "spec": spec}),
        Entry("service", "core/v1:Service", {"metadata": {"name": "f"}, "spec": service}),
    ]


def words(api: Api, namespace: str) -> list[str]:
    """Return what our ConfigMaps say in the cluster."""
    found = [item for item in api.items(CONFIG_MAPS, namespace) if "faltering-" in item["metadata"]["name"]]
    return [item["data"]["k"] for item in found]


@pytest.mark.parametrize(
    ("fault", "methods"),
    [(429, EVERY), (503, EVERY), (500, ("GET", "POST", "PATCH")), (BEFORE, EVERY), (AFTER, EVERY)],
)
def test_each_request_may_go_wrong_once(
    trial: Trial, api: Api, kubeconfig: Path, fault: Fault, methods: tuple[str, ...]
) -> None:
    """Creates, changes, reads and deletions come through, and the state is that of the cluster."""
    choose, namespace = FirstOfEach(fault, methods), str(trial.provider["namespace"])
    with Faltering(kubeconfig, choose) as server:
        arguments = {"kubeconfig": through(server.address)}
        trial.up(*things("one"), **arguments)
        assert server.faults > COUNT
        choose.again()
        trial.up(*things("two"), **arguments)
        assert trial.unchanged()
        assert words(api, namespace) == ["two"] * COUNT
        choose.again()
        assert trial.run("refresh", "--yes", "--skip-preview").returncode == 0
        assert trial.unchanged()
        choose.again()
        done = trial.run("destroy", "--yes", "--skip-preview")
        assert done.returncode == 0, done.stdout
    assert words(api, namespace) == []


@pytest.mark.parametrize("fault", [429, 500])
def test_a_server_that_goes_on_failing_is_told_of_and_the_next_update_takes_up(
    trial: Trial, kubeconfig: Path, fault: int
) -> None:
    """By its own word; what was made until then is known."""
    broken = True

    def choose(method: str, path: str) -> Fault:
        return fault if broken and method == "POST" and "services" in path and "dryRun" not in path else None

    with Faltering(kubeconfig, choose) as server:
        arguments = {"kubeconfig": through(server.address)}
        printed = trial.fail(*things("one"), **arguments)
        assert "faltering" in printed.partition("Diagnostics:")[2]
        assert "Traceback" not in printed
        broken = False
        trial.up(*things("one"), **arguments)
        assert trial.unchanged()
        assert trial.run("destroy", "--yes", "--skip-preview").returncode == 0


def test_what_somebody_else_made_is_not_taken_over_because_an_answer_was_lost(
    trial: Trial, api: Api, kubeconfig: Path, namespace: str
) -> None:
    """Whose it is stands in the object."""
    wanted = config_map(0, "ours")
    body = {"apiVersion": "v1", "kind": "ConfigMap", **wanted.inputs, "data": {"k": "theirs"}}
    api.create(CONFIG_MAPS, namespace, body, manager="somebody-else", dry_run=False)
    with Faltering(kubeconfig, FirstOfEach(BEFORE, ("POST",))) as server:
        printed = trial.fail(wanted, kubeconfig=through(server.address))

    assert "faltering-0 exists already" in printed
    assert words(api, namespace) == ["theirs"]
    api.delete(CONFIG_MAPS, namespace, "faltering-0", propagation="Background")
