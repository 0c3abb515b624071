"""Renew what the program generates, in two steps where the old one has to live on for a while."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from deployer.errors import UsageError
from deployer.report import Report
from deployer.secrets.alone import alone
from deployer.secrets.catalogue import Generated
from deployer.secrets.store import stack_path
from deployer.stack_file import change_stack_file, load_stack_file
from deployer.workspace import Workspace


@dataclass(frozen=True)
class Rotation:
    """Say what a rotation will do; the next `up` does it.

    Attributes:
        path: the stack's file, which lists the generations.
        before: generations until now.
        after: generations from now on; the last is the one in use.
        restarts: services whose pods roll.
    """

    path: Path
    before: tuple[int, ...]
    after: tuple[int, ...]
    restarts: tuple[str, ...]


def plan_rotation(workspace: Workspace, stack: str, secret: Generated, *, finish: bool = False) -> Rotation:
    """Work out the next generations without writing anything.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        secret: what to renew.
        finish: drop the old generations rather than begin a new one.

    Raises:
        UsageError: a rotation is under way already, or there is none to finish.
    """
    path = stack_path(workspace, stack)
    before = tuple(secret.generations(load_stack_file(path).get("config") or {}))
    if finish and len(before) == 1:
        raise UsageError(
            f"No rotation of {secret.name} is under way.",
            advice=f"`./stampchat secrets rotate {secret.name}` begins one.",
        )
    if not finish and len(before) > 1:
        raise UsageError(
            f"A rotation of {secret.name} is under way: generations {', '.join(map(str, before))} are all valid.",
            advice=f"An hour after its `up`, `./stampchat secrets rotate {secret.name} --finish` ends it.",
        )
    kept = before if secret.overlap else ()
    after = before[-1:] if finish else (*kept, before[-1] + 1)
    return Rotation(path, before, after, secret.used_by)


def rotate(workspace: Workspace, secret: Generated, rotation: Rotation, report: Report) -> None:
    """Write a rotation into the stack's file; the next `up` carries it out.

    Raises:
        UsageError: somebody else has rotated it since it was planned.
    """
    with alone(workspace, report):
        found = tuple(secret.generations(load_stack_file(rotation.path).get("config") or {}))
        if found != rotation.before:
            raise UsageError(
                f"The generations of {secret.name} have become {', '.join(map(str, found))} meanwhile.",
                advice="Nothing was changed. Start again to see what a rotation does now.",
            )
        change_stack_file(rotation.path, {secret.full_key: list(rotation.after)}, {})
