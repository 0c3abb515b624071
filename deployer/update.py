"""Apply a plan, and know which images it deploys."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from deployer.abandoned import note_abandoned
from deployer.events import Outcome, Reader
from deployer.preview import ShowOn, failure
from deployer.pulumi_process import Pulumi
from deployer.steps import Display
from deployer.workspace import Workspace


def read_images(path: Path) -> dict[str, str]:
    """Return the references in a file of images; the program itself refuses one that is not usable."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return {str(name): str(reference) for name, reference in found.items()} if isinstance(found, dict) else {}


def write_images(workspace: Workspace, stack: str, images: Mapping[str, str]) -> Path:
    """Write the references of an earlier update into a file of their own, for the program to read, and return it."""
    path = workspace.state / f"images-of-{stack}.json"
    path.write_text(json.dumps(dict(images), indent=2), encoding="utf-8")
    return path


def update(pulumi: Pulumi, display: Display, *, message: str, refresh: bool = False) -> Outcome:
    """Apply a plan that `plan` has shown.

    Args:
        pulumi: the engine on a stack.
        display: where progress goes.
        message: what the stack's history keeps with it.
        refresh: whether the plan was made from what really is there; the engine has to look again.

    Raises:
        DeployError: a resource failed; what was done until then is kept, and known to the state.
        StoppedError: the user stopped it.
    """
    reader = Reader(ShowOn(display, "starting the engine"))
    status, said = pulumi.stream(
        "up",
        "--yes",
        "--skip-preview",
        "--message",
        message,
        *(["--refresh"] if refresh else []),
        on_event=reader.read,
        on_interrupt=lambda: display.note("stopping; what has begun is being finished or given up"),
    )
    if status != 0:
        note_abandoned(pulumi.workspace, pulumi.stack, reader.outcome)
        raise failure(
            "The update failed",
            reader.outcome,
            said,
            "What was done before is kept. Mend the cause and run `./stampchat up` again; it goes on from there.",
        )
    return reader.outcome
