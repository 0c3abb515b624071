"""Read what a stack hands out: its URL, the gateway's address, the images that run."""

from __future__ import annotations

import json
from typing import Any

from deployer.checks import load_settings
from deployer.errors import DeployError
from deployer.project import state_file
from deployer.report import Report
from deployer.stack import open_stack
from deployer.workspace import Workspace


def load_outputs(workspace: Workspace, stack: str, report: Report) -> dict[str, Any]:
    """Return a stack's outputs; what is secret stays masked.

    Raises:
        DeployError: the stack was never brought up.
    """
    settings = load_settings(workspace, stack)
    require_state(workspace, stack)
    pulumi = open_stack(workspace, stack, settings, report)
    return dict(json.loads(pulumi.read("stack", "output", "--json")))


def require_state(workspace: Workspace, stack: str) -> None:
    """See that the stack was brought up from this checkout.

    Raises:
        DeployError: it was not.
    """
    if not state_file(workspace, stack).exists():
        raise DeployError(
            f"Stack {stack} has not been brought up from this checkout.",
            advice=f"`./stampchat up {stack}` does.",
        )
