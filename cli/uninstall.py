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
    from deployer.uninstall import PACKAGES, describe_cluster, folder_size, plan_removal
    from deployer.uninstall import uninstall as run

    settings = settings_of(context)
    workspace = settings.workspace
    paths = plan_removal(workspace, keep_cache=keep_cache)
    things = describe_cluster(workspace)
    if not paths and not things:
        write("Nothing was put on this machine, so there is nothing to remove.")
        return
    write("What was put on this machine, and goes:")
    write(*(f"  {thing}" for thing in things))
    write(*(f"  {path} ({folder_size(path) / 1e6:.0f} MB)" for path in paths))
    data = ["the cluster with its data"] if things or workspace.cluster.exists() else []
    question = f"About to be removed: {', '.join([*data, *map(str, paths)])}."
    if not ask(question, yes=yes):
        raise UsageError("Not confirmed; nothing was changed.", advice="Answer yes, or give --yes.")
    with settings.display() as display:
        removed = run(settings.workspace, display, keep_cache=keep_cache)
    for removal in removed:
        write(f"removed {removal.path} ({removal.size / 1e6:.0f} MB)")
    write("What is left is the checkout itself and its .venv; delete the folder and all is gone.")
    write(
        f"Debian's packages are yours, whoever wanted them ({', '.join(PACKAGES)}); `apt-get remove` takes them away."
    )
