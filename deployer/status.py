"""See what runs, whether it is ready, and where."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from deployer import cluster
from deployer.checks import load_settings
from deployer.errors import DeployError
from deployer.kube import Kube, Pod
from deployer.outside import client_trust
from deployer.ready import PROBES, fetch_status
from deployer.stack import is_embedded, local_url
from deployer.workspace import Workspace


@dataclass(frozen=True)
class Status:
    """What was found.

    Attributes:
        stack: the stack.
        url: where it answers.
        answers: what each service's question through the gateway was answered with.
        cluster: the embedded cluster, or nothing for a cluster that is not ours.
        pods: the deployment's pods.
        problem: why the pods are not known, or nothing.
    """

    stack: str
    url: str
    answers: dict[str, int | str]
    cluster: cluster.ClusterStatus | None
    pods: list[Pod]
    problem: str

    @property
    def is_ready(self) -> bool:
        """Tell whether everything that should serve does."""
        pods_ready = all(pod.ready for pod in self.pods if pod.state != "Terminating")
        return bool(self.pods) and pods_ready and all(answer == 200 for answer in self.answers.values())  # noqa: PLR2004


def load_status(workspace: Workspace, stack: str) -> Status:
    """Look at the cluster, the pods and the gateway.

    Raises:
        UsageError: no such stack, or its file is broken.
    """
    settings = load_settings(workspace, stack)
    found = cluster.status(workspace) if is_embedded(settings) else None
    url = _url(workspace, settings, embedded=found is not None)
    pods: list[Pod] = []
    problem = ""
    if found is not None and not found.running:
        problem = "the cluster does not run; `./stampchat up` starts it"
    else:
        try:
            pods = Kube(workspace, settings).pods()
        except DeployError as error:
            problem = str(error)
    trust = client_trust(settings)
    answers = {path: fetch_status(url + path, trust=trust) for path in PROBES} if url and not problem else {}
    return Status(stack, url, answers, found, pods, problem)


def stack_url(workspace: Workspace, stack: str) -> str:
    """Find where a stack answers.

    Raises:
        DeployError: it was never brought up, so nobody knows.
    """
    settings = load_settings(workspace, stack)
    url = _url(workspace, settings, embedded=is_embedded(settings))
    if not url:
        raise DeployError(f"Stack {stack} is not up.", advice=f"`./stampchat up {stack}` brings it up.")
    return url


def _url(workspace: Workspace, settings: dict[str, Any], *, embedded: bool) -> str:
    if embedded:
        return local_url(workspace)
    return str((settings.get("config") or {}).get("stampchat:url", ""))
