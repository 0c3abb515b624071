"""Look before anything changes: the machine, the disk, the stack's name and its config."""

from __future__ import annotations

import os
import platform
from typing import TYPE_CHECKING, Any

from deployer.disk import COLD_DISK, GIB, WARM_DISK, check_disk
from deployer.doctor.machine import ELSEWHERE
from deployer.errors import DeployError, UsageError
from deployer.stack_file import listed, load_stack_file, refuse
from deployer.workspace import Workspace

if TYPE_CHECKING:
    from deployer.cluster import Where
    from infra.config import StackConfig


def stack_names(workspace: Workspace) -> list[str]:
    """List the stacks that this checkout has a Pulumi.STACK.yaml for."""
    return sorted(path.name.split(".")[1] for path in workspace.root.glob("Pulumi.*.yaml"))


def check_stack_name(workspace: Workspace, stack: str) -> None:
    """Refuse a stack that does not exist.

    Raises:
        UsageError: there is no such stack; the message lists those that there are.
    """
    known = stack_names(workspace)
    if stack not in known:
        raise UsageError(
            f"There is no stack {stack!r}; this checkout has {listed(known)}.",
            advice="Leave the name away for dev. A new stack begins with a file Pulumi.NAME.yaml beside Pulumi.yaml.",
        )


def load_settings(workspace: Workspace, stack: str) -> dict[str, Any]:
    """Read a stack's tracked file and validate all of it.

    Returns:
        The file's content, with its `config` a mapping by full key.

    Raises:
        UsageError: no such stack, no YAML, or config that infra.config refuses; every problem is in the message.
    """
    check_stack_name(workspace, stack)
    path = workspace.root / f"Pulumi.{stack}.yaml"
    settings = load_stack_file(path)
    refuse(path, config_problems(settings.get("config") or {}))
    return settings


def load_deployable(workspace: Workspace, stack: str, *, images: bool = True) -> tuple[dict[str, Any], StackConfig]:
    """Read a stack's tracked file and judge all that can be judged before an engine runs, secrets and images included.

    Only what is wrong anyway makes anybody open the secrets: the program judges them too, and says all at once.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        images: whether the stack's file of images is what will be deployed; stack dev builds its own.

    Returns:
        The file's content, and what it says.

    Raises:
        UsageError: no such stack, no YAML, or something in it cannot be deployed; every problem is in the message.
    """
    from infra.config import image_problems, inspect_stack

    check_stack_name(workspace, stack)
    path = workspace.root / f"Pulumi.{stack}.yaml"
    settings = load_stack_file(path)
    config, problems = inspect_stack(settings.get("config") or {})
    if config.hosted is not None and images:
        problems += image_problems(config, workspace.root)
    if problems and config.hosted is not None:
        problems += _secret_problems(workspace, stack, settings, problems)
    refuse(path, problems)
    return settings, config


def _secret_problems(workspace: Workspace, stack: str, settings: dict[str, Any], known: list[str]) -> list[str]:
    """Judge what is encrypted as well, where that costs seconds and not a build."""
    from deployer.engine import is_engine_at_hand
    from deployer.report import Silent
    from deployer.secrets.vault import Vault
    from infra.config import inspect_stack

    values = settings.get("config") or {}
    sealed = [key for key, value in values.items() if isinstance(value, dict) and "secure" in value]
    if not sealed or not is_engine_at_hand(workspace):
        return []
    try:
        opened, _ = Vault(workspace, stack, settings, Silent()).open()
    except DeployError as error:
        return [f"What is encrypted could not be judged: {error.what}"]
    _, problems = inspect_stack({**values, **{key: opened.get(key) for key in sealed}})
    return [problem for problem in problems if problem not in known]


def config_problems(config: dict[str, Any]) -> list[str]:
    """Ask infra.config what is wrong with a stack's config."""
    from infra.config import ConfigError, validate_stack

    try:
        validate_stack(config)
    except ConfigError as error:
        return list(error.problems)
    return []


def check_ground(workspace: Workspace, where: Where | None) -> str:
    """See that this machine can hold what it is to hold: the embedded cluster, or only the engine and its state.

    Args:
        workspace: the checkout.
        where: where the cluster is to be; None where it is.

    Returns:
        What was found, in a few words.

    Raises:
        DeployError: it cannot.
    """
    from deployer.cluster import stored_instance

    known = stored_instance(workspace)
    ground = where.ground if where else known.ground if known else "embedded"
    if ground == "embedded":
        cold = not any((workspace.cache / name).exists() for name in ("cluster", "engine"))
        return check_machine(workspace, cold=cold)
    free = check_disk(workspace.cache, WARM_DISK, "the engine and the images")
    return f"{platform.system()}, {free / GIB:.0f} GiB free"


def check_machine(workspace: Workspace, *, cold: bool) -> str:
    """See that this machine can hold the embedded cluster.

    Args:
        workspace: the checkout.
        cold: whether the engine and the cluster have yet to be built.

    Returns:
        What was found, in a few words.

    Raises:
        UsageError: not Linux, or not root.
        DeployError: the disk is too full.
    """
    if platform.system() != "Linux":
        raise UsageError(
            f"The embedded cluster needs Linux; this is {platform.system()}.",
            advice=ELSEWHERE,
        )
    if os.geteuid() != 0:
        raise UsageError(
            "The embedded cluster needs root: it makes namespaces, mounts and a network link.",
            advice="Run `sudo ./stampchat up` (the README says what it changes, and how all of it goes). " + ELSEWHERE,
        )
    free = [check_disk(workspace.home, WARM_DISK, "the cluster's images, databases and logs")]
    free.append(
        check_disk(workspace.cache, COLD_DISK, "the builds")
        if cold
        else check_disk(workspace.cache, WARM_DISK, "the cache of builds")
    )
    return f"root on Linux, {min(free) / GIB:.0f} GiB free"
