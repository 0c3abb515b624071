"""Read what a service writes, from each of its pods."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

from deployer.checks import load_settings
from deployer.errors import DeployError, UsageError
from deployer.kube import Kube, Pod
from deployer.workspace import Workspace

# The short names that a person would try, and the workloads behind them.
ALIASES = {
    "auth": "stamp-chat-auth",
    "chat": "stamp-chat-channels",
    "channels": "stamp-chat-channels",
    "notifications": "stamp-chat-notifications",
    "gateway": "stamp-chat-gateway",
}


def read_logs(
    workspace: Workspace, stack: str, service: str, *, tail: int, follow: bool, previous: bool
) -> Iterator[str]:
    """Yield a service's log lines; with several pods each line begins with its pod's name.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        service: auth, chat, notifications, gateway, or a workload's own name.
        tail: how many lines of each pod to begin with.
        follow: whether to go on as lines come.
        previous: whether to read the container before the last restart.

    Raises:
        UsageError: no such service; the message lists those that there are.
    """
    kube = Kube(workspace, load_settings(workspace, stack))
    pods = find_pods(kube.pods(), service)
    options = {"tail_lines": tail, "previous": previous}
    if follow:
        yield from _follow(kube, pods, options)
        return
    for pod in pods:
        for line in _lines(kube, pod, options):
            yield f"{pod.name}  {line}" if len(pods) > 1 else line


def find_pods(pods: list[Pod], service: str) -> list[Pod]:
    """Pick a service's pods.

    Raises:
        UsageError: there is no such service.
        DeployError: nothing is deployed.
    """
    if not pods:
        raise DeployError("Nothing is deployed.", advice="`./stampchat up` deploys.")
    wanted = {service, ALIASES.get(service, service)}
    found = [pod for pod in pods if pod.workload in wanted or pod.name in wanted]
    if not found and service == "gateway":
        found = [pod for pod in pods if pod.namespace.endswith("-gateway")]
    if not found:
        names = ", ".join(sorted({pod.workload for pod in pods} | {"auth", "chat", "notifications", "gateway"}))
        raise UsageError(f"There is no service {service!r}.", advice=f"There are: {names}.")
    return found


def _lines(kube: Kube, pod: Pod, options: dict[str, Any]) -> Iterator[str]:
    from kubernetes.client.exceptions import ApiException

    try:
        response = kube.core.read_namespaced_pod_log(pod.name, pod.namespace, _preload_content=False, **options)
    except ApiException as error:
        raise DeployError(f"{pod.name} has no log to read.", said=str(error.body or error.reason)) from error
    rest = b""
    for chunk in response.stream(amt=None):
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def _follow(kube: Kube, pods: list[Pod], options: dict[str, Any]) -> Iterator[str]:
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()

    def read(pod: Pod) -> None:
        try:
            for line in _lines(kube, pod, {**options, "follow": True}):
                lines.put(f"{pod.name}  {line}" if len(pods) > 1 else line)
        finally:
            lines.put(None)

    for pod in pods:
        threading.Thread(target=read, args=(pod,), daemon=True).start()
    ended = 0
    while ended < len(pods):
        line = lines.get()
        if line is None:
            ended += 1
        else:
            yield line
