"""The verb graph."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.context import Stack, settings_of, write


def graph(
    context: typer.Context,
    stack: Stack = "dev",
    *,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Where to draw it (default: docs/deployment.svg).")
    ] = None,
) -> None:
    """Draw what is deployed, from the real resource graph of a stack that is up.

    [bold]Example[/bold]

      ./stampchat graph -o /tmp/deployment.svg
    """
    from deployer.graph import draw

    settings = settings_of(context)
    workspace = settings.workspace
    with settings.display() as display:
        path = draw(workspace, stack, output or workspace.root / "docs" / "deployment.svg", display)
    write(str(path))
