"""Remember what was being made when a plugin died: the engine takes it for not made, and forgets it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from deployer.events import Outcome
from deployer.files import write_whole
from deployer.workspace import Workspace

# How the engine says that a plugin went away, instead of what a living one answered.
_GONE = re.compile(
    r"error reading from server|transport is closing|connection (refused|reset)|code = Unavailable|"
    r"plugin .*exited|EOF\b|broken pipe"
)


def note_abandoned(workspace: Workspace, stack: str, outcome: Outcome) -> None:
    """Note what may exist although the state does not know it, after an update that failed.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        outcome: what the update said.
    """
    gone = {resource.urn for resource, text in outcome.errors if resource is not None and _GONE.search(text)}
    begun = [_operation(state) for state in outcome.uncreated if state.get("urn") in gone]
    if begun:
        path = _place(workspace, stack)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps([*load_abandoned(workspace, stack), *begun], indent=1))


def load_abandoned(workspace: Workspace, stack: str) -> list[dict[str, Any]]:
    """Return what was noted, in the form of a state's pending operations."""
    with suppress(OSError, ValueError):
        noted = json.loads(_place(workspace, stack).read_text(encoding="utf-8"))
        return [each for each in noted if isinstance(each, dict) and isinstance(each.get("resource"), dict)]
    return []


def forget_abandoned(workspace: Workspace, stack: str) -> None:
    """Drop the note: all of it is settled."""
    _place(workspace, stack).unlink(missing_ok=True)


def _operation(state: Mapping[str, Any]) -> dict[str, Any]:
    """Keep what names an object and nothing of what is in it."""
    inputs = _mapping(state.get("inputs"))
    metadata = _mapping(inputs.get("metadata"))
    named = {key: metadata[key] for key in ("name", "namespace") if key in metadata}
    kept = {"apiVersion": inputs.get("apiVersion"), "kind": inputs.get("kind"), "metadata": named}
    return {"type": "creating", "resource": {"urn": state["urn"], "type": state.get("type"), "inputs": kept}}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _place(workspace: Workspace, stack: str) -> Path:
    return workspace.state / f"abandoned-{stack}.json"
