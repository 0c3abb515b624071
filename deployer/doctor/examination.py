"""Examine everything, and say what `up` would take and change."""

from __future__ import annotations

from collections.abc import Iterator

from deployer.cluster.instance import stored_instance
from deployer.cluster.model import Ground
from deployer.disk import COLD_DISK, WARM_DISK
from deployer.doctor.kernel import examine_kernel
from deployer.doctor.machine import COLD_MEMORY, WARM_MEMORY, examine_machine
from deployer.doctor.model import Examination, Finding
from deployer.doctor.network import examine_network
from deployer.doctor.place import find_ground
from deployer.doctor.tools import examine_tools
from deployer.needs import Needs, find_needs
from deployer.workspace import Workspace

# Of what the cache lacks, so many are named.
_FEW = 4


def examine(workspace: Workspace) -> Examination:
    """Look at everything that `up` of stack dev needs from this machine; nothing is changed.

    Args:
        workspace: the checkout.
    """
    ground = find_ground(workspace)
    needs = find_needs(workspace, ground)
    findings = [
        *examine_machine(workspace, cold=needs.cold, ground=ground),
        *(examine_kernel() if ground == "embedded" else ()),
        *examine_tools(workspace, needs, ground),
        *_examine_cache(workspace, needs),
        *examine_network(needs),
    ]
    return Examination(
        findings=tuple(findings),
        disk_needed=(COLD_DISK if needs.cold else WARM_DISK) + WARM_DISK,
        memory_needed=COLD_MEMORY if needs.cold else WARM_MEMORY,
        changes=tuple(_changes(workspace, ground)),
        takes="a quarter of an hour on two cores, more where others work" if needs.cold else "under a minute",
    )


def _examine_cache(workspace: Workspace, needs: Needs) -> Iterator[Finding]:
    if not needs.all:
        yield Finding("cache", "parts", "ok", f"all in {workspace.cache}")
        return
    few = needs.all if len(needs.all) <= _FEW else (*needs.all[:_FEW], f"{len(needs.all) - _FEW} more")
    said = f"yet to be had: {', '.join(few)}"
    yield Finding(
        "cache", "parts", "note", said, "`./stampchat up` gets it; `./stampchat bundle` carries it elsewhere."
    )


def _changes(workspace: Workspace, ground: Ground) -> Iterator[str]:
    instance = stored_instance(workspace)
    port = instance.port if instance else 8080
    yield f"{workspace.cache}: downloads and builds, shared by every checkout"
    yield f"{workspace.home}: state, passphrase, kubeconfig, the cluster's disk"
    yield f"{workspace.root / '.venv'}: Python packages"
    if ground == "embedded":
        yield (
            f"while the cluster runs: a network namespace, a veth pair, cgroups, and a forwarder on 127.0.0.1:{port}; "
            "`./stampchat cluster down` ends them"
        )
    elif ground == "context":
        yield "in your context's cluster: what the plan shows, after a question; `./stampchat destroy` takes it out"
    else:
        yield f"in Docker: a cluster of {ground} at 127.0.0.1:{port}; `./stampchat cluster down --purge` deletes it"
    yield "nothing is installed; `./stampchat uninstall` takes all of it away"
