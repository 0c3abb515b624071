"""The verbs history, rollback and unlock: look back, go back, and take a lock away."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from cli.context import AsJson, Stack, Yes, ask, settings_of, write, write_json

_SHOWN = 20


def history(
    context: typer.Context,
    stack: Stack = "prod",
    *,
    every: Annotated[bool, typer.Option("--all", help="List all, not the newest twenty.")] = False,
    as_json: AsJson = False,
) -> None:
    """List the updates of a stack, the newest first: when, from which commit, with which images, and how it ended.

    [bold]Example[/bold]

      ./stampchat history prod
    """
    from deployer.history import load_history

    settings = settings_of(context)
    with settings.display() as display:
        updates = load_history(settings.workspace, stack, display)
    shown = updates if every else updates[:_SHOWN]
    if as_json:
        write_json([asdict(update) for update in shown])
        return
    write(f"{'No':>4}  {'When':<20}  {'Kind':<8}  {'Result':<11}  {'Commit':<11}  {'Services':<12}  Changes")
    for update in shown:
        image = update.images.get("services", "").rpartition(":")[2][:12]
        changes = ", ".join(f"{count} {op}" for op, count in update.changes.items() if op != "same") or "none"
        write(
            f"{update.number:>4}  {update.started:<20}  {update.kind:<8}  {update.result:<11}  {update.commit:<11}  "
            f"{image:<12}  {changes}"
        )
    if len(updates) > len(shown):
        write(f"{len(updates) - len(shown)} older ones: --all")


def rollback(
    context: typer.Context,
    stack: Stack = "prod",
    number: Annotated[
        int | None, typer.Argument(help="An update's number in `history`; else the last good one.")
    ] = None,
    *,
    yes: Yes = False,
) -> None:
    """Deploy the images of an earlier update again. Databases and secrets stay as they are, the config is today's.

    [bold]Examples[/bold]

      ./stampchat rollback prod          the images before the present ones

      ./stampchat rollback prod 12       those of update 12
    """
    from deployer.history import find_earlier, load_history
    from deployer.up import UpOptions, up

    settings = settings_of(context)
    with settings.display() as display:
        chosen = find_earlier(load_history(settings.workspace, stack, display), number)
    purpose = (
        f"Stack {stack} goes back to the images of update {chosen.number} ({chosen.started}, commit {chosen.commit})."
    )
    with settings.display() as display:
        options = UpOptions(
            stack=stack,
            images=chosen.images,
            purpose=purpose,
            confirm=lambda question: ask(question, yes=yes, display=display),
        )
        result = up(settings.workspace, options, display)
    state = "had those images already" if result.outcome.is_unchanged else f"runs the images of update {chosen.number}"
    write(f"Stack {stack} {state}. The next `./stampchat up {stack}` goes forward again.")


def unlock(context: typer.Context, stack: Stack = "prod", *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Take away the lock that an interrupted update left behind, after showing whose it is.

    A dead engine's lock of this very machine needs none of this: the next [bold]up[/bold] removes it.

    [bold]Example[/bold]

      ./stampchat unlock prod
    """
    from deployer.unlock import unlock as run

    settings = settings_of(context)
    with settings.display() as display:
        removed = run(settings.workspace, stack, display, confirm=lambda question: ask(question, yes=yes))
    if as_json:
        write_json([asdict(lock) for lock in removed])
    else:
        write(*(f"Removed the lock of {lock}." for lock in removed) if removed else (f"Stack {stack} is not locked.",))
