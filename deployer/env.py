"""Name the variables that a plain `pulumi` needs to work on this checkout's stacks."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from deployer.checks import load_settings
from deployer.engine import ensure_engine
from deployer.plugins import ensure_plugins
from deployer.project import write_project
from deployer.report import Report
from deployer.stack import is_embedded, local_values, stack_environment
from deployer.workspace import Workspace


def load_environment(workspace: Workspace, stack: str, report: Report) -> dict[str, str]:
    """Return the variables, and write the project folder that they go with.

    PULUMI_CWD is what the engine's `-C` option reads as well: the generated project, so that the salt is
    written there and the checkout stays clean.

    Raises:
        UsageError: no such stack, or its file is broken.
    """
    settings = load_settings(workspace, stack)
    engine = ensure_engine(workspace, report)
    plugins = ensure_plugins(workspace, report)
    reachable = is_embedded(settings) and (workspace.cluster / "kubeconfig").exists()
    write_project(workspace, stack, settings, local_values(workspace, "") if reachable else {})
    environ = stack_environment(workspace, engine.pulumi, plugins)
    if not reachable:
        environ.pop("KUBECONFIG", None)
    return environ


def shorten_path(environ: Mapping[str, str]) -> dict[str, str]:
    """Write PATH as what goes in front of the shell's own."""
    own = [
        part for part in environ["PATH"].split(os.pathsep) if part not in os.environ.get("PATH", "").split(os.pathsep)
    ]
    front = os.pathsep.join(dict.fromkeys(own))
    return {**environ, "PATH": f"{front}{os.pathsep}$PATH" if front else "$PATH"}


def project_hint(workspace: Workspace) -> Path:
    """Name the folder in which `pulumi` is to be run."""
    from deployer.project import project_folder

    return project_folder(workspace)
