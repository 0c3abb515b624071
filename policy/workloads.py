"""Judge a workload: pure functions over its inputs, one for each rule.

The rules are those of the scanners kube-linter, kube-score, Polaris and Trivy that bite a workload; the names in the
comments are theirs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from policy.rule import Json, Rule

WORKLOAD_TYPES = re.compile(
    r"kubernetes:(apps/v1:(Deployment|StatefulSet|DaemonSet|ReplicaSet)|batch/v1:(Job|CronJob)|core/v1:Pod)"
)
RUNS_TO_AN_END = re.compile(r"kubernetes:batch/v1:")

_BY_DIGEST = re.compile(r"\S+@sha256:[0-9a-f]{64}")
_SECRET_NAME = re.compile(r"PASSWORD|PASSWD|SECRET|TOKEN|CREDENTIAL|PRIVATE_KEY|API_KEY|DATABASE_URL", re.IGNORECASE)
# A name that says where a secret lies is no secret.
_PLACE_NAME = re.compile(r"_(FILE|DIR|PATH|NAME)$")
_VOLUMES = ("configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret")
_LEAST_USER = 10_000


def pod_spec(resource_type: str, props: Json) -> Json | None:
    """Find the pod in a resource's inputs; None where there is none."""
    if not WORKLOAD_TYPES.fullmatch(resource_type):
        return None
    spec: Json = props.get("spec") or {}
    if resource_type.endswith(":Pod"):
        return spec
    if resource_type.endswith(":CronJob"):
        spec = (spec.get("jobTemplate") or {}).get("spec") or {}
    return (spec.get("template") or {}).get("spec") or {}


def judge_probes(resource_type: str, props: Json) -> Iterator[str]:
    """Ask for liveness and readiness, and that they differ (no-liveness-probe, pod-probes-identical)."""
    pod = pod_spec(resource_type, props)
    if pod is None or RUNS_TO_AN_END.match(resource_type):
        return
    for container in pod.get("containers") or []:
        name = container.get("name")
        live, ready = container.get("livenessProbe"), container.get("readinessProbe")
        if not live:
            yield f"container {name} has no livenessProbe"
        if not ready:
            yield f"container {name} has no readinessProbe"
        elif live and _question(live) == _question(ready):
            yield f"container {name} asks the same for life and for readiness"


def judge_limits(resource_type: str, props: Json) -> Iterator[str]:
    """Ask for requests and limits (unset-cpu-requirements, unset-memory-requirements)."""
    for container in _containers(resource_type, props):
        resources = container.get("resources") or {}
        for part in ("requests", "limits"):
            for resource in ("cpu", "memory"):
                if not (resources.get(part) or {}).get(resource):
                    yield f"container {container.get('name')} has no {resource} in its {part}"


def judge_security(resource_type: str, props: Json) -> Iterator[str]:
    """Ask for Pod Security's `restricted`, and a root file system that is read only."""
    pod = pod_spec(resource_type, props)
    if pod is None:
        return
    for key in ("hostNetwork", "hostPID", "hostIPC"):
        if pod.get(key):
            yield f"the pod shares the node's {key.removeprefix('host')}"
    for volume in pod.get("volumes") or []:
        if not any(kind in volume for kind in _VOLUMES):
            yield f"volume {volume.get('name')} is of a kind that restricted refuses"
    shared = pod.get("securityContext") or {}
    for container in _containers(resource_type, props):
        own = container.get("securityContext") or {}
        yield from (f"container {container.get('name')} {what}" for what in _judge_context(shared, own))
        if any(port.get("hostPort") for port in container.get("ports") or []):
            yield f"container {container.get('name')} takes a port of the node"


def _judge_context(shared: Json, own: Json) -> Iterator[str]:
    def either(key: str) -> Any:
        return own.get(key) if own.get(key) is not None else shared.get(key)

    if either("runAsNonRoot") is not True:
        yield "may run as root"
    if (either("runAsUser") or 0) <= _LEAST_USER:
        yield f"runs as a user of {_LEAST_USER} or below, who may be somebody on the node"
    if (either("seccompProfile") or {}).get("type") not in {"RuntimeDefault", "Localhost"}:
        yield "has no seccomp profile"
    if own.get("allowPrivilegeEscalation") is not False:
        yield "may gain privileges"
    if own.get("privileged"):
        yield "is privileged"
    if own.get("readOnlyRootFilesystem") is not True:
        yield "may write to its root file system"
    capabilities = own.get("capabilities") or {}
    if list(capabilities.get("drop") or []) != ["ALL"]:
        yield "keeps capabilities"
    if set(capabilities.get("add") or []) - {"NET_BIND_SERVICE"}:
        yield "adds capabilities"


def judge_images(resource_type: str, props: Json) -> Iterator[str]:
    """Ask for images by digest (latest-tag, container-image-tag)."""
    for container in _containers(resource_type, props):
        if not _BY_DIGEST.fullmatch(str(container.get("image"))):
            yield f"container {container.get('name')} runs {container.get('image')}, which is not named by digest"


def judge_environment(resource_type: str, props: Json) -> Iterator[str]:
    """Refuse secrets in the environment (env-var-secret, read-secret-from-env-var, sensitiveContainerEnvVar)."""
    for container in _containers(resource_type, props):
        name = container.get("name")
        for source in container.get("envFrom") or []:
            if source.get("secretRef"):
                yield f"container {name} takes a whole Secret into its environment"
        for variable in container.get("env") or []:
            key = str(variable.get("name"))
            if (variable.get("valueFrom") or {}).get("secretKeyRef"):
                yield f"container {name} takes {key} from a Secret; mount it as a file"
            elif _SECRET_NAME.search(key) and not _PLACE_NAME.search(key) and variable.get("value"):
                yield f"container {name} has {key} in its environment; mount it as a file"


def judge_identity(resource_type: str, props: Json) -> Iterator[str]:
    """Ask for a ServiceAccount of its own, and a namespace (default-service-account, use-namespace)."""
    pod = pod_spec(resource_type, props)
    if pod is None:
        return
    if pod.get("serviceAccountName") in {None, "", "default"}:
        yield "it runs as the namespace's default ServiceAccount"
    if pod.get("automountServiceAccountToken") is None:
        yield "it does not say whether it wants a token for the API server"
    if (props.get("metadata") or {}).get("namespace") in {None, "", "default"}:
        yield "it is in the default namespace"


RULES = (
    Rule(
        "workload-probes", "A workload says when it lives and when it is ready, by different questions.", judge_probes
    ),
    Rule("workload-limits", "A container has requests and limits, so that it cannot take its node down.", judge_limits),
    Rule(
        "workload-restricted",
        "A pod keeps to Pod Security's restricted level and writes only to volumes.",
        judge_security,
    ),
    Rule("image-by-digest", "An image is named by digest: a tag can come to mean something else.", judge_images),
    Rule("no-secret-in-env", "Secrets are mounted as files: an environment shows in crash reports.", judge_environment),
    Rule("workload-identity", "A workload has an identity and a namespace of its own.", judge_identity),
)


def _containers(resource_type: str, props: Json) -> list[Json]:
    pod = pod_spec(resource_type, props)
    if pod is None:
        return []
    return [*(pod.get("initContainers") or []), *(pod.get("containers") or [])]


def _question(probe: Json) -> Any:
    """Return what a probe asks, whatever its patience."""
    return {key: _plain(probe.get(key)) for key in ("httpGet", "tcpSocket", "exec", "grpc")}


def _plain(value: Any) -> Any:
    """Copy what the policy runtime hands over as proxies, so that two values can be compared."""
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value
