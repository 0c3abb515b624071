"""List the updates of a stack, and the images that each of them deployed."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.checks import load_settings
from deployer.errors import UsageError
from deployer.outputs import require_state
from deployer.pulumi_process import Pulumi
from deployer.report import Report
from deployer.stack import open_stack
from deployer.workspace import Workspace

# The message of an update is the one thing that any backend keeps with it.
_MESSAGE = re.compile(r"([a-z]+)=(\S+@sha256:[0-9a-f]{64})")


@dataclass(frozen=True)
class Update:
    """One update of a stack.

    Attributes:
        number: counted from 1, the oldest first.
        kind: update, destroy, refresh.
        result: succeeded, failed, in-progress.
        started: when, UTC, ISO 8601.
        changes: how many resources got which operation.
        commit: of the checkout that it was made from, "+" behind it when there were changes beside it.
        images: what it deployed, by name.
    """

    number: int
    kind: str
    result: str
    started: str
    changes: Mapping[str, int]
    commit: str
    images: Mapping[str, str]


def load_history(workspace: Workspace, stack: str, report: Report) -> list[Update]:
    """Return the updates of a stack, the newest first.

    Raises:
        UsageError: no such stack.
        DeployError: it was never brought up.
    """
    settings = load_settings(workspace, stack)
    pulumi = open_stack(workspace, stack, settings, report)
    require_state(pulumi)
    return read_history(pulumi)


def read_history(pulumi: Pulumi) -> list[Update]:
    """Ask the engine; secrets of the config are not asked for."""
    entries = json.loads(pulumi.read("stack", "history", "--json") or "[]")
    return [_update(len(entries) - place, entry) for place, entry in enumerate(entries)]


def update_message(images: Mapping[str, str]) -> str:
    """Compose an update's message, from which its images can be read again."""
    return " ".join(["images", *(f"{name}={reference}" for name, reference in sorted(images.items()))])


def find_earlier(history: list[Update], number: int | None) -> Update:
    """Choose the update to roll back to.

    Args:
        history: the newest first.
        number: which; None for the newest good one that deployed other images than the last good one.

    Raises:
        UsageError: there is no such update, or its images are not known.
    """
    good = [update for update in history if update.kind == "update" and update.result == "succeeded" and update.images]
    if number is not None:
        chosen = next((update for update in good if update.number == number), None)
        if chosen is None:
            known = ", ".join(str(update.number) for update in good[:10]) or "none"
            raise UsageError(
                f"Update {number} deployed no images that could be deployed again.",
                advice=f"Those that did: {known}. `./stampchat history` lists all.",
            )
        return chosen
    present = good[0].images if good else {}
    chosen = next((update for update in good if update.images != present), None)
    if chosen is None:
        raise UsageError(
            "There is no earlier update with other images.", advice="`./stampchat history` lists what there is."
        )
    return chosen


def _update(number: int, entry: Mapping[str, Any]) -> Update:
    environment = entry.get("environment") or {}
    dirty = "+" if environment.get("git.dirty") == "true" else ""
    return Update(
        number=number,
        kind=str(entry.get("kind", "")),
        result=str(entry.get("result", "")),
        started=str(entry.get("startTime", "")).replace(".000Z", "Z"),
        changes=dict(entry.get("resourceChanges") or {}),
        commit=f"{str(environment.get('git.head', ''))[:10]}{dirty}",
        images=dict(_MESSAGE.findall(str(entry.get("message", "")))),
    )
