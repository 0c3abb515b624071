"""Ask a managed cluster, before anything changes, for what a stack stands on; tell all that lacks at once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from deployer.contexts import NamedCluster
from deployer.errors import DeployError

if TYPE_CHECKING:
    from infra.config import HostedConfig, StackConfig

# `preStop.sleep`, without which a pod that stops would still be sent requests, is on by default from here.
# https://github.com/kubernetes/enhancements/issues/3960
OLDEST = (1, 30)
# What the tests run on.
TESTED = (1, 34)
SECONDS = 10
_MONITORING = "monitoring.coreos.com"
_GATEWAY_API = "gateway.networking.k8s.io"
# What Traefik watches, and does not start without; Gateway API 1.5's standard channel has all of it.
_GATEWAY_KINDS = ("gatewayclasses", "gateways", "httproutes", "grpcroutes", "tlsroutes", "backendtlspolicies")


@dataclass
class Findings:
    """Gather what a cluster has and what it lacks.

    Attributes:
        has: what was found, in a few words each.
        lacks: what the stack cannot be without, a sentence each with what to do.
        notes: what it can be without, and should not be.
    """

    has: list[str] = field(default_factory=list)
    lacks: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class ClusterApi:
    """Ask a cluster's API what it serves, as the stack's own user.

    Args:
        connection: the Kubernetes client's.
        cluster: its name, for what is said when it does not answer.
    """

    def __init__(self, connection: Any, cluster: NamedCluster) -> None:
        connection.configuration.retries = False
        self._connection = connection
        self._cluster = cluster

    def get(self, path: str) -> Mapping[str, Any]:
        """Return what the API has at a path; nothing where there is nothing, or where this user may not look.

        Raises:
            DeployError: the cluster does not answer, or does not know the user.
        """
        from kubernetes.client import ApiException
        from urllib3.exceptions import HTTPError

        try:
            found = self._connection.call_api(
                path,
                "GET",
                response_type="object",
                auth_settings=["BearerToken"],
                _return_http_data_only=True,
                _request_timeout=SECONDS,
            )
        except ApiException as error:
            if error.status in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
                return {}
            raise self._refused(error.status, str(error.reason or "")) from error
        except (HTTPError, OSError, ValueError) as error:
            raise self._silent(error) from error
        return found if isinstance(found, dict) else {}

    def _refused(self, status: int, reason: str) -> DeployError:
        if status == HTTPStatus.UNAUTHORIZED:
            return DeployError(
                f"The cluster {self._cluster} does not take the credentials that the kubeconfig has for it.",
                said=f"{status} {reason}",
                advice="Nothing was changed. Log in again with your cloud's command: tokens and certificates expire.",
            )
        return DeployError(
            f"The cluster {self._cluster} refuses to say what it serves.",
            said=f"{status} {reason}",
            advice="Nothing was changed. Try again when its control plane is well.",
        )

    def _silent(self, error: Exception) -> DeployError:
        # The library wraps the reason in how often it tried.
        reason = str(getattr(error, "reason", None) or error)
        what = (
            "shows a certificate that the kubeconfig does not vouch for"
            if "CERTIFICATE" in reason
            else "does not answer"
        )
        return DeployError(
            f"The cluster {self._cluster} {what}.",
            said=re.sub(r"^<[^>]*>: |^.*object at 0x[0-9a-f]+>: ", "", reason),
            advice="Nothing was changed. Is it running, is a VPN needed, and may this machine reach its API?",
        )


def find_prerequisites(config: StackConfig, api: ClusterApi, *, official_plugin: bool) -> Findings:
    """Ask for everything that a stack on a managed cluster needs.

    Args:
        config: the stack's.
        api: the cluster.
        official_plugin: whether Helm releases can be made.

    Raises:
        DeployError: the cluster does not answer.
    """
    findings = Findings()
    hosted = config.hosted
    assert hosted is not None  # noqa: S101  # asked of no other
    _judge_version(api.get("/version"), findings)
    groups = _served(api)
    if config.gateway.kind == "gateway-api":
        _judge_gateway_api(api, groups, findings)
    if hosted.install_platform:
        if not official_plugin:
            findings.lacks.append(
                "stampchat:platform.install is true, and Helm charts are work of the official Pulumi plugin for "
                "Kubernetes, for which a stand-in serves here: run this where the internet can be reached, or install "
                "what the stack needs yourself and set it to false."
            )
    else:
        _judge_platform(config, groups, findings)
    if config.observability.kind == "prometheus-operator":
        _judge_operator(api, groups, findings)
    _judge_metrics(hosted, groups, findings)
    return findings


def require_operator(api: ClusterApi, cluster: NamedCluster) -> None:
    """Ask a cluster of ours for the one thing that it does not bring by itself, and that a stack may stand on.

    Args:
        api: the cluster.
        cluster: its name.

    Raises:
        DeployError: it lacks.
    """
    findings = Findings()
    _judge_operator(api, _served(api), findings)
    require(findings, cluster, {})


def require(findings: Findings, cluster: NamedCluster, databases: Mapping[str, str]) -> str:
    """Say in a few words what was found.

    Args:
        findings: about the cluster.
        cluster: its name.
        databases: what is wrong with a database, by its secret's name.

    Raises:
        DeployError: something lacks; the message has all of it.
    """
    said = [*findings.lacks, *(f"{name}: {problem}." for name, problem in databases.items() if problem)]
    if said:
        count = "one thing" if len(said) == 1 else f"{len(said)} things"
        raise DeployError(
            f"What the stack stands on lacks {count}; its cluster is {cluster}.",
            said="\n".join(said),
            advice="Nothing was changed. docs/configuration.md says what a managed cluster has to have.",
        )
    return ", ".join(findings.has)


def _served(api: ClusterApi) -> dict[str, list[str]]:
    """Return the versions of each group of kinds that a cluster knows."""
    groups = api.get("/apis").get("groups") or []
    return {str(group["name"]): [str(each["version"]) for each in group.get("versions") or []] for group in groups}


def _judge_version(answer: Mapping[str, Any], findings: Findings) -> None:
    told = str(answer.get("gitVersion") or "")
    match = re.match(r"v?(\d+)\.(\d+)", told)
    if match is None:
        findings.notes.append("the cluster does not say which Kubernetes it is")
        return
    version = (int(match[1]), int(match[2]))
    findings.has.append(f"Kubernetes {told.removeprefix('v')}")
    if version < OLDEST:
        findings.lacks.append(
            f"Kubernetes is {told}, and pods need {OLDEST[0]}.{OLDEST[1]} to stop without losing requests: upgrade the "
            "cluster."
        )
    elif version > TESTED:
        findings.notes.append(f"Kubernetes is {told}; what is tested is up to {TESTED[0]}.{TESTED[1]}")


def _judge_platform(config: StackConfig, groups: Mapping[str, list[str]], findings: Findings) -> None:
    install = "install it, or have this stack do it with stampchat:platform.install: true."
    if "v1" in groups.get("cert-manager.io", []):
        findings.has.append("cert-manager")
    else:
        findings.lacks.append(f"cert-manager is not in the cluster (no cert-manager.io/v1): {install}")
    if config.gateway.kind != "ambassador":
        return
    served = groups.get("getambassador.io", [])
    if "v3alpha1" in served:
        findings.has.append("Emissary-ingress")
    elif served:
        findings.lacks.append(
            f"Emissary-ingress serves getambassador.io in {', '.join(served)} only: upgrade it to 4.x, for v3alpha1."
        )
    else:
        findings.lacks.append(f"Emissary-ingress is not in the cluster (no getambassador.io/v3alpha1): {install}")


def _judge_gateway_api(api: ClusterApi, groups: Mapping[str, list[str]], findings: Findings) -> None:
    served = {
        str(resource["name"]): version
        for version in ("v1", "v1beta1")
        if version in groups.get(_GATEWAY_API, [])
        for resource in api.get(f"/apis/{_GATEWAY_API}/{version}").get("resources") or []
        if version == "v1" or resource["name"] == "referencegrants"
    }
    missing = [kind for kind in (*_GATEWAY_KINDS, "referencegrants") if kind not in served]
    crd = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/gateways.{_GATEWAY_API}"
    annotations = (api.get(crd).get("metadata") or {}).get("annotations") or {}
    bundle = str(annotations.get(f"{_GATEWAY_API}/bundle-version") or "")
    channel = str(annotations.get(f"{_GATEWAY_API}/channel") or "")
    told = " ".join(part for part in (bundle.removeprefix("v"), channel) if part)
    if not missing:
        findings.has.append(f"Gateway API{f' {told}' if told else ''}")
    elif "gateways" not in served:
        findings.lacks.append(
            f"Gateway API is not in the cluster (no {_GATEWAY_API}/v1): install the standard channel of 1.5 or later, "
            "which many clouds do at a switch."
        )
    else:
        findings.lacks.append(
            f"Gateway API{f' ({told})' if told else ''} lacks {', '.join(missing)}, which our gateway watches: upgrade "
            "its definitions to the standard channel of 1.5 or later."
        )


def _judge_operator(api: ClusterApi, groups: Mapping[str, list[str]], findings: Findings) -> None:
    served = groups.get(_MONITORING, [])
    listed = api.get(f"/apis/{_MONITORING}/v1").get("resources") or [] if "v1" in served else []
    missing = sorted({"podmonitors", "prometheusrules"} - {str(resource["name"]) for resource in listed})
    if missing:
        findings.lacks.append(
            f"prometheus-operator is not whole in the cluster (no {', '.join(missing)} in {_MONITORING}/v1): install "
            "it, or set stampchat:observability.kind to off."
        )
    else:
        findings.has.append("prometheus-operator")


def _judge_metrics(hosted: HostedConfig, groups: Mapping[str, list[str]], findings: Findings) -> None:
    if "metrics.k8s.io" not in groups:
        findings.notes.append("no metrics.k8s.io (metrics-server): the autoscalers will keep the least number of pods")
    if hosted.sockets_per_pod is not None and "custom.metrics.k8s.io" not in groups:
        findings.notes.append(
            "no custom.metrics.k8s.io (prometheus-adapter): chat will not grow by its sockets (stampchat:autoscaling)"
        )
