"""The verb doctor."""

from __future__ import annotations

import typer

from cli.context import AsJson, settings_of, write, write_json


def doctor(context: typer.Context, *, as_json: AsJson = False) -> None:
    """Say what is here for up, what is missing and how to get it, and what up takes and changes; exits 1 if it cannot.

    Nothing is changed, and registries are asked by the machine's own clients, for some seconds at most.

    [bold]Examples[/bold]

      ./stampchat doctor

      ./stampchat doctor --json | jq .ready
    """
    from deployer.doctor import examine
    from deployer.doctor.telling import lines

    found = examine(settings_of(context).workspace)
    if as_json:
        write_json(found.as_json())
    else:
        write(*lines(found))
    if not found.ready:
        raise typer.Exit(1)
