"""The verb uninstall."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import Yes, ask, settings_of, write


def uninstall(
    context: typer.Context,
    *,
    keep_cache: Annotated[bool, typer.Option("--keep-cache", help="Leave downloads and builds for others.")] = False,
    yes: Yes = False,
) -> None:
    """Take away all that was made on this machine: cluster, data, state, cache; asks first.

    [bold]Examples[/bold]

      ./stampchat uninstall

      ./stampchat uninstall --keep-cache
    """
    from deployer.errors import UsageError
    from deployer.uninstall import plan_removal
    from deployer.uninstall import uninstall as run

    settings = settings_of(context)
    paths = plan_removal(settings.workspace, keep_cache=keep_cache)
    question = f"The cluster, its data and {' and '.join(map(str, paths)) or 'nothing else'} are about to be removed."
    if not ask(question, yes=yes):
        raise UsageError("Not confirmed; nothing was changed.", advice="Answer yes, or give --yes.")
    with settings.display() as display:
        removed = run(settings.workspace, display, keep_cache=keep_cache)
    for removal in removed:
        write(f"removed {removal.path} ({removal.size / 1e6:.0f} MB)")
    write("What is left is the checkout itself and its .venv; delete the folder and all is gone.")
