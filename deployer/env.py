"""Name the variables that a plain `pulumi` needs to work on this checkout's stacks."""

from __future__ import annotations

import os
from collections.abc import Mapping

from deployer.checks import load_settings
from deployer.project import project_folder
from deployer.report import Report
from deployer.stack import open_stack
from deployer.workspace import Workspace


def load_environment(workspace: Workspace, stack: str, report: Report) -> dict[str, str]:
    """Return the variables, and write the project folder that STAMPCHAT_PROJECT names.

    In that folder the engine writes its salt beside our values, and the checkout stays as it was cloned.

    Raises:
        UsageError: no such stack, or its file is broken.
    """
    settings = load_settings(workspace, stack)
    environ = dict(open_stack(workspace, stack, settings, report).environ)
    return {**environ, "STAMPCHAT_PROJECT": str(project_folder(workspace))}


def shorten_path(environ: Mapping[str, str]) -> dict[str, str]:
    """Write PATH as what goes in front of the shell's own."""
    shell = os.environ.get("PATH", "").split(os.pathsep)
    front = [part for part in dict.fromkeys(environ["PATH"].split(os.pathsep)) if part not in shell]
    return {**environ, "PATH": os.pathsep.join([*front, "$PATH"])}
