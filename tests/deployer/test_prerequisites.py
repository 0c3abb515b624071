"""What a managed cluster has to have, told at once before anything changes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import pytest

from deployer.contexts import NamedCluster
from deployer.errors import DeployError
from deployer.kube import Kube
from deployer.prerequisites import ClusterApi, Findings, find_prerequisites, require, require_operator
from infra.config import validate_stack
from tests.conftest import EmbeddedCluster
from tests.deployer.clusters import VERSION, serve_api, write_kubeconfig
from tests.infra.configs import PROD, PROD_GATEWAY_API

CLUSTER = NamedCluster("managed", "https://1.2.3.4")
GATEWAY = "gateway.networking.k8s.io"
KINDS = ("gatewayclasses", "gateways", "httproutes", "grpcroutes", "tlsroutes", "backendtlspolicies")


def groups(**served: str) -> dict[str, Any]:
    """Make the API's list of groups: names with _ for a dot, versions with a comma between them."""
    return {
        "/apis": {
            "groups": [
                {
                    "name": name.replace("__", "-").replace("_", "."),
                    "versions": [{"version": v} for v in text.split(",")],
                }
                for name, text in served.items()
            ]
        }
    }


def kinds(*names: str, version: str = "v1") -> dict[str, Any]:
    return {f"/apis/{GATEWAY}/{version}": {"resources": [{"name": name} for name in names]}}


FULL = groups(
    cert__manager_io="v1",
    getambassador_io="v3alpha1",
    metrics_k8s_io="v1beta1",
    gateway_networking_k8s_io="v1,v1beta1",
)


WATCHED = {**PROD, "stampchat:observability": '{"kind": "prometheus-operator"}'}


class Answers:
    """Answer as a cluster's API would."""

    def __init__(self, *answers: Mapping[str, Any]) -> None:
        self._answers = {path: answer for some in answers for path, answer in some.items()}

    def get(self, path: str) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self._answers.get(path, {})
        return found


def find(values: Mapping[str, Any], *answers: Mapping[str, Any], official: bool = False) -> Findings:
    return find_prerequisites(
        validate_stack(values), cast("ClusterApi", Answers(VERSION, *answers)), official_plugin=official
    )


def test_a_cluster_that_has_everything_is_summed_up() -> None:
    """With Ambassador and with Gateway API."""
    definition = {
        f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.{GATEWAY}": {
            "metadata": {"annotations": {f"{GATEWAY}/bundle-version": "v1.6.1", f"{GATEWAY}/channel": "standard"}}
        }
    }
    ambassador = find(PROD, FULL)
    gateway_api = find(PROD_GATEWAY_API, FULL, definition, kinds(*KINDS), kinds("referencegrants", version="v1beta1"))

    assert (ambassador.lacks, ambassador.notes) == ([], [])
    assert require(ambassador, CLUSTER, {}) == "Kubernetes 1.34.0, cert-manager, Emissary-ingress"
    assert (gateway_api.lacks, gateway_api.notes) == ([], [])
    assert require(gateway_api, CLUSTER, {}) == "Kubernetes 1.34.0, Gateway API 1.6.1 standard, cert-manager"


def test_a_cluster_of_ours_is_asked_for_what_it_does_not_bring() -> None:
    """Before the preview, in the same words."""
    with pytest.raises(DeployError, match="lacks one thing") as caught:
        require_operator(cast("ClusterApi", Answers(groups(apps="v1"))), CLUSTER)
    assert "no podmonitors, prometheusrules in monitoring.coreos.com/v1" in caught.value.said
    served = {"/apis/monitoring.coreos.com/v1": {"resources": [{"name": "podmonitors"}, {"name": "prometheusrules"}]}}
    whole = Answers(groups(monitoring_coreos_com="v1"), served)
    require_operator(cast("ClusterApi", whole), CLUSTER)


def test_all_that_lacks_is_told_at_once() -> None:
    """Definitions, an old Kubernetes and a database's no in one paragraph."""
    found = find(PROD, {"/version": {"gitVersion": "v1.29.4-eks"}}, groups(apps="v1"))

    with pytest.raises(DeployError) as caught:
        require(
            found, CLUSTER, {"chat-database-url": "is Postgres 13.2, and the services need 15 or later", "auth": ""}
        )

    assert caught.value.what == "What the stack stands on lacks 4 things; its cluster is 'managed' (https://1.2.3.4)."
    for part in (
        "Kubernetes is v1.29.4-eks, and pods need 1.30",
        "cert-manager is not in the cluster (no cert-manager.io/v1): install it, or have this stack do it",
        "Emissary-ingress is not in the cluster (no getambassador.io/v3alpha1)",
        "chat-database-url: is Postgres 13.2",
    ):
        assert part in caught.value.said


@pytest.mark.parametrize(
    ("values", "answers", "said"),
    [
        (PROD, groups(cert__manager_io="v1", getambassador_io="v1,v2"), "serves getambassador.io in v1, v2 only"),
        (PROD_GATEWAY_API, groups(cert__manager_io="v1"), "Gateway API is not in the cluster"),
        (
            PROD_GATEWAY_API,
            {
                **FULL,
                **kinds("gatewayclasses", "gateways", "httproutes"),
                **kinds("referencegrants", version="v1beta1"),
            },
            "Gateway API lacks grpcroutes, tlsroutes, backendtlspolicies, which our gateway watches",
        ),
        ({**PROD, "stampchat:platform": '{"install": true}'}, groups(apps="v1"), "a stand-in serves here"),
        (WATCHED, FULL, "prometheus-operator is not whole in the cluster (no podmonitors, prometheusrules in"),
        (
            WATCHED,
            {
                **groups(cert__manager_io="v1", getambassador_io="v3alpha1", monitoring_coreos_com="v1"),
                "/apis/monitoring.coreos.com/v1": {"resources": [{"name": "podmonitors"}]},
            },
            "(no prometheusrules in monitoring.coreos.com/v1): install it",
        ),
    ],
)
def test_what_is_there_and_too_old_is_told_as_such(values: dict[str, Any], answers: dict[str, Any], said: str) -> None:
    """Upgrade is another advice than install."""
    (problem,) = find(values, answers).lacks

    assert said in problem


def test_what_this_stack_installs_need_not_be_there() -> None:
    """The official plugin makes Helm releases."""
    assert find({**PROD, "stampchat:platform": '{"install": true}'}, groups(apps="v1"), official=True).lacks == []


def test_missing_metrics_and_a_newer_kubernetes_are_warnings() -> None:
    """The stack serves without."""
    found = find(
        {**PROD, "stampchat:autoscaling": '{"sockets": 100}'},
        {"/version": {"gitVersion": "v1.41.0"}},
        groups(cert__manager_io="v1", getambassador_io="v3alpha1"),
    )

    assert found.lacks == []
    assert [note.split(":")[0].split(" (")[0] for note in found.notes] == [
        "Kubernetes is v1.41.0; what is tested is up to 1.34",
        "no metrics.k8s.io",
        "no custom.metrics.k8s.io",
    ]


def api_of(server: str, folder: Path) -> ClusterApi:
    from kubernetes.config import new_client_from_config

    path = write_kubeconfig(folder / "kubeconfig", {"managed": server})
    return ClusterApi(new_client_from_config(str(path), "managed"), NamedCluster("managed", server))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (401, "does not take the credentials that the kubeconfig has for it"),
        (503, "refuses to say what it serves"),
    ],
)
def test_a_cluster_that_refuses_is_one_paragraph(tmp_path: Path, answer: int, said: str) -> None:
    """With its name, and what to do."""
    with serve_api({"/version": answer}) as server:
        api = api_of(server, tmp_path)
        with pytest.raises(DeployError, match=said) as caught:
            api.get("/version")
        assert api.get("/not/there") == {}

    assert f"'managed' ({server})" in caught.value.what
    assert str(answer) in caught.value.said
    assert "Nothing was changed." in caught.value.advice


def test_a_cluster_that_does_not_answer_is_one_paragraph(tmp_path: Path) -> None:
    """Asked once: a person waits."""
    with serve_api({}) as server:
        pass

    with pytest.raises(DeployError, match="does not answer") as caught:
        api_of(server, tmp_path).get("/version")

    assert "refused" in caught.value.said
    assert "object at" not in caught.value.said


@pytest.mark.cluster
def test_a_real_cluster_says_what_it_has(embedded_cluster: EmbeddedCluster) -> None:
    """Its version and its Gateway API, in the shape that is read here."""
    settings = {"config": {"stampchat:place": "dev"}}
    api = ClusterApi(Kube(embedded_cluster.workspace, settings).connection, CLUSTER)

    found = find_prerequisites(validate_stack(PROD_GATEWAY_API), api, official_plugin=False)

    assert found.has[0].startswith("Kubernetes 1.34.")
    assert "Gateway API 1.6.1 standard" in found.has
    assert not any("Gateway" in problem or "Kubernetes" in problem for problem in found.lacks)
