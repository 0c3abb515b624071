"""Go on from the engine's own copy where a stack's state is damaged."""

from __future__ import annotations

import time
from pathlib import Path

from deployer.errors import DeployError
from deployer.files import write_whole
from deployer.project import load_project, read_state, state_file
from deployer.workspace import Workspace


def recover_state(workspace: Workspace, stack: str) -> str:
    """Put the newest copy in the place of a state that cannot be read; one that can be read is left alone.

    The engine writes a copy before each change of the file, and one at each update's end. The one before a change has
    the operation that was under way, which is then cleared up like any that was cut off.

    Args:
        workspace: the checkout, which keeps the state.
        stack: the stack's name.

    Returns:
        What was done, in a sentence; nothing where nothing had to be.

    Raises:
        DeployError: no copy can be read either.
    """
    path = state_file(workspace, stack)
    if not path.exists() or read_state(path) is not None:
        return ""
    copies = [copy for copy in _copies(workspace, stack, path) if read_state(copy) is not None]
    if not copies:
        raise DeployError(
            f"The state of stack {stack} is damaged: {path} cannot be read, and there is no copy of it here.",
            advice=f"Bring back a backup: `./stampchat restore {stack} FILE`. Without one, in stack dev, begin anew: "
            "`./stampchat cluster down --purge`. Nothing was changed.",
        )
    newest = max(copies, key=lambda copy: copy.stat().st_mtime)
    aside = workspace.state / "lost" / f"{stack}-damaged-{time.strftime('%Y%m%dT%H%M%S')}.json"
    aside.parent.mkdir(exist_ok=True)
    content = newest.read_bytes()
    path.replace(aside)
    write_whole(path, content)
    when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(newest.stat().st_mtime))
    return f"the state was damaged and is now the engine's own copy of {when}; the damaged one is {aside}"


def _copies(workspace: Workspace, stack: str, path: Path) -> list[Path]:
    history = workspace.state / "backend" / ".pulumi" / "history" / str(load_project(workspace)["name"]) / stack
    return [*path.parent.glob(f"{path.name}.bak"), *history.glob("*.checkpoint.json")]
