"""Read what a stack hands out: its URL, the gateway's address, the images that run."""

from __future__ import annotations

import json
from typing import Any

from deployer.checks import load_settings
from deployer.errors import DeployError
from deployer.pulumi_process import Pulumi
from deployer.report import Report
from deployer.stack import open_stack
from deployer.workspace import Workspace


def load_outputs(workspace: Workspace, stack: str, report: Report) -> dict[str, Any]:
    """Return a stack's outputs; what is secret stays masked.

    Raises:
        DeployError: the stack was never brought up.
    """
    settings = load_settings(workspace, stack)
    pulumi = open_stack(workspace, stack, settings, report)
    require_state(pulumi)
    return dict(json.loads(pulumi.read("stack", "output", "--json")))


def require_state(pulumi: Pulumi) -> None:
    """See that the stack was brought up.

    Raises:
        DeployError: it was not.
    """
    if not pulumi.exists():
        where = "from this checkout" if pulumi.is_kept_here else f"to {pulumi.environ['PULUMI_BACKEND_URL']}"
        raise DeployError(
            f"Stack {pulumi.stack} has not been brought up {where}.",
            advice=f"`./stampchat up {pulumi.stack}` does. Where a team shares the state, PULUMI_BACKEND_URL names it.",
        )
