"""The verb status."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import TYPE_CHECKING

import typer

from cli.context import AsJson, Stack, settings_of, write, write_json

if TYPE_CHECKING:
    from deployer.cluster import ClusterStatus, ComponentStatus
    from deployer.kube import Pod
    from deployer.status import Status


def status(context: typer.Context, stack: Stack = "dev", *, as_json: AsJson = False) -> None:
    """Show what runs, whether it is ready, and where; exits 1 when something is not.

    [bold]Examples[/bold]

      ./stampchat status

      ./stampchat status --json | jq .ready
    """
    from deployer.status import load_status

    settings = settings_of(context)
    found = load_status(settings.workspace, stack)
    if as_json:
        write_json({**asdict(found), "ready": found.is_ready})
    else:
        _tell(found)
    if not found.is_ready:
        raise typer.Exit(1)


def _tell(found: Status) -> None:
    write(f"Stack {found.stack}: {'ready' if found.is_ready else 'NOT ready'}{f' at {found.url}' if found.url else ''}")
    if found.cluster is not None:
        cluster = found.cluster
        state = "runs" if cluster.running else "does not run"
        node = ", node ready" if cluster.node_ready else ""
        write("", f"Cluster {cluster.name} {state}{node}")
        write(*component_lines(cluster), *cost_lines(cluster))
        if cluster.running:
            write(policies_line(cluster), *lan_line(cluster))
    if found.problem:
        write("", f"Pods: not known, {found.problem}")
    elif not found.pods:
        write("", "Pods: none; ./stampchat up deploys")
    else:
        write("", *pod_lines(found.pods))
    if found.answers:
        write("", "Through the gateway")
        for path, answer in found.answers.items():
            write(f"  GET {path:<22} {answer}")


def pod_lines(pods: list[Pod]) -> list[str]:
    """List pods, a line each below a heading; what they use stands there if anybody knows."""
    known = any(pod.cores is not None for pod in pods)
    usage = f"{'CPU':>7}  {'Memory':>7}  " if known else ""
    lines = [f"{'Pod':<46} {'Ready':<6} {'State':<18} {'Restarts':>8}  {usage}{'Image':<12}  {'Address':<15} Since"]
    for pod in pods:
        ready = "yes" if pod.ready else "NO"
        usage = f"{_cores(pod):>7}  {_memory(pod):>7}  " if known else ""
        lines.append(
            f"{pod.name:<46} {ready:<6} {pod.state:<18} {pod.restarts:>8}  {usage}{pod.image:<12}  {pod.address:<15} "
            f"{pod.started}"
        )
    return lines


def _cores(pod: Pod) -> str:
    """Write it as Kubernetes does: a thousandth of a processor is 1m."""
    return "-" if pod.cores is None else f"{pod.cores * 1000:.0f}m"


def _memory(pod: Pod) -> str:
    return "-" if pod.memory_bytes is None else f"{pod.memory_bytes / 1e6:.0f} MB"


def _clock(since: float | None) -> str:
    return f"since {time.strftime('%Y-%m-%d %H:%M:%S', time.localtime(since))}" if since else ""


def component_lines(found: ClusterStatus) -> list[str]:
    """List a cluster's components, a line each."""
    return [f"  {part.name:<26} {_component(part)}" for part in found.components]


def policies_line(found: ClusterStatus) -> str:
    """Say whether a cluster's network policies hold."""
    if found.policies_hold:
        return "  Network policies hold."
    if any(part.name == "kube-router" for part in found.components):
        return "  Network policies do not hold, for want of kube-router."
    return "  Network policies do not hold here; `./stampchat cluster up --policies` makes them."


def lan_line(found: ClusterStatus) -> list[str]:
    """Say that other machines reach a cluster's gateway, if they do."""
    return ["  Other machines reach its gateway; `./stampchat cluster up --no-lan` ends that."] if found.lan else []


def cost_lines(found: ClusterStatus) -> list[str]:
    """Say what a cluster takes, and until when its certificates are good."""
    lines = []
    if found.running:
        own = f"{found.own_cores * 1000:.0f} thousandths of a core on average since its start"
        lines.append(f"  its own programs take {own}, and {found.own_memory_bytes / 1e6:.0f} MB")
        lines.append(f"  all of it, pods included, takes {found.memory_bytes / 1e6:.0f} MB")
    if found.certificates_end is not None:
        day = time.strftime("%Y-%m-%d", time.localtime(found.certificates_end))
        left = (found.certificates_end - time.time()) / 86400
        lines.append(f"  its certificates are good until {day}, {left:.0f} days; up renews them a year before")
    return lines


def _component(part: ComponentStatus) -> str:
    if part.missing:
        return part.missing.splitlines()[0]
    return f"{'running' if part.running else 'DOWN':<8} pid {part.pid or '-':<8} {_clock(part.since)}"
