"""Bring a stack to the point where the engine can work on it, and mend what an earlier run left behind."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployer import cluster
from deployer.cluster.instance import stored_instance
from deployer.engine import ensure_engine
from deployer.errors import DeployError
from deployer.files import write_whole
from deployer.plugins import ensure_plugins
from deployer.plugins.install import Plugins
from deployer.project import state_file, write_project
from deployer.pulumi_process import Pulumi, engine_environment, silence_log
from deployer.report import Report
from deployer.workspace import Workspace

PLACE = "stampchat:place"


def is_embedded(settings: Mapping[str, Any]) -> bool:
    """Tell whether a stack runs on a cluster that we make on this machine."""
    return (settings.get("config") or {}).get(PLACE) == "dev"


def local_url(workspace: Workspace) -> str:
    """Name the URL at which this checkout's own cluster answers on this machine; nothing before it has a port."""
    instance = stored_instance(workspace)
    return instance.address if instance is not None else ""


def public_url(settings: Mapping[str, Any]) -> str:
    """Name the address at which clients reach a stack; an embedded cluster's is known once it runs."""
    config = settings.get("config") or {}
    hostname = str(config.get("stampchat:hostname") or "")
    return f"https://{hostname}" if hostname else str(config.get("stampchat:url") or "")


def local_values(workspace: Workspace, settings: Mapping[str, Any]) -> dict[str, object]:
    """Give the config values that only this checkout knows; a cluster that is not ours has none."""
    kubeconfig = cluster.kubeconfig(workspace)
    if not is_embedded(settings) or not kubeconfig.exists():
        return {}
    values: dict[str, object] = {
        "stampchat:kubeconfig": str(kubeconfig),
        "stampchat:context": current_context(kubeconfig),
        "stampchat:imagesFile": str(workspace.images),
        "stampchat:url": local_url(workspace),
    }
    instance = stored_instance(workspace)
    if instance is None or instance.ground == "embedded":
        return values
    config = settings.get("config") or {}
    # Docker passes connections on as they are, where our own forwarder says from whom they come.
    values["stampchat:gateway"] = {**(config.get("stampchat:gateway") or {}), "proxyProtocolFrom": []}
    # The context is named already, and what was to make it is no business of the program.
    values["stampchat:cluster"] = "embedded"
    if config.get("stampchat:imagesFile"):
        values["stampchat:imagesFile"] = config["stampchat:imagesFile"]
    return values


def current_context(kubeconfig: Path) -> str:
    """Name the context that a kubeconfig file has selected.

    Raises:
        DeployError: it is damaged.
    """
    try:
        return str(yaml.safe_load(kubeconfig.read_text(encoding="utf-8"))["current-context"])
    except (ValueError, TypeError, LookupError, yaml.YAMLError) as error:
        raise DeployError(
            f"The cluster's kubeconfig is damaged: {kubeconfig} cannot be read.",
            advice="`./stampchat cluster up` writes it anew.",
        ) from error


def open_stack(workspace: Workspace, stack: str, settings: Mapping[str, Any], report: Report) -> Pulumi:
    """Find the engine and its plugins, and write the project that they work in.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        settings: the tracked Pulumi.STACK.yaml.
        report: where progress goes.
    """
    engine = ensure_engine(workspace, report)
    plugins = ensure_plugins(workspace, report)
    write_project(workspace, stack, settings, local_values(workspace, settings))
    return Pulumi(engine.pulumi, workspace, stack, stack_environment(workspace, engine.pulumi, plugins, settings))


def stack_environment(
    workspace: Workspace, pulumi: Path, plugins: Plugins, settings: Mapping[str, Any]
) -> dict[str, str]:
    """Name the variables under which an engine finds its plugins and the stack's state."""
    silence_log(workspace)
    paths = [pulumi.parent, *plugins.path_entries]
    stand_in, embedded = plugins.source == "stand-in", is_embedded(settings)
    return engine_environment(workspace, paths, stand_in=stand_in, embedded=embedded) | dict(plugins.environment)


def forget_lost_cluster(workspace: Workspace, stack: str, identity: str) -> bool:
    """Set a stack's state aside when the cluster that it describes is gone for good.

    A purged cluster comes back empty, while the state still lists everything: the engine would find nothing to do.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        identity: the running cluster's own, `ClusterInfo.identity`.

    Returns:
        Whether there was such a state.
    """
    record = workspace.state / f"cluster-of-{stack}"
    known = _noted(record)
    workspace.state.mkdir(parents=True, exist_ok=True)
    lost = known not in {None, identity, _earlier_identity(workspace)} and set_state_aside(workspace, stack)
    write_whole(record, identity)
    return lost


def _noted(record: Path) -> str | None:
    """Return which cluster a state was noted to be of; nothing by a note that is missing or damaged."""
    try:
        text = record.read_text(encoding="utf-8").strip()
    except (FileNotFoundError, UnicodeDecodeError):
        return None
    return text if re.fullmatch(r"[0-9a-f]{64}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", text) else None


def _earlier_identity(workspace: Workspace) -> str:
    """Return what earlier versions knew a cluster by: its authority's certificate, which can be made anew."""
    kubeconfig = yaml.safe_load((workspace.cluster / "kubeconfig").read_text(encoding="utf-8"))
    authorities = repr([cluster["cluster"].get("certificate-authority-data") for cluster in kubeconfig["clusters"]])
    return hashlib.sha256(authorities.encode()).hexdigest()


def set_state_aside(workspace: Workspace, stack: str) -> bool:
    """Rename a stack's state, so that the engine begins anew and a person can still look.

    Returns:
        Whether there was one.
    """
    path = state_file(workspace, stack)
    if not path.exists():
        return False
    aside = workspace.state / "lost"
    aside.mkdir(exist_ok=True)
    path.replace(aside / f"{stack}-{time.strftime('%Y%m%dT%H%M%S')}.json")
    path.with_name(path.name + ".bak").unlink(missing_ok=True)
    return True
