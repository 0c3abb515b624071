"""The verb render."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from cli.context import AsJson, Stack, settings_of, write, write_json


def render(
    context: typer.Context,
    stack: Stack = "prod",
    *,
    output: Annotated[Path, typer.Option("--output", "-o", help="The folder to write to.", file_okay=False)] = Path(
        "rendered"
    ),
    as_json: AsJson = False,
) -> None:
    """Write a stack as plain YAML for those who apply by hand, numbered in the order of their applying.

    Secrets are placeholders: fill them in, or make the Secrets from `secrets export --examples`.

    [bold]Example[/bold]

      ./stampchat render prod -o rendered && kubectl apply -f rendered
    """
    from deployer.render import render as run

    paths = run(settings_of(context).workspace, stack, output)
    if as_json:
        write_json([str(path) for path in paths])
        return
    write(*(str(path) for path in paths))
