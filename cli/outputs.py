"""The verb outputs."""

from __future__ import annotations

import typer

from cli.context import AsJson, Stack, settings_of, write, write_json


def outputs(context: typer.Context, stack: Stack = "dev", *, as_json: AsJson = False) -> None:
    """Print what a stack hands out: its URL, the gateway's address, the images that run.

    [bold]Examples[/bold]

      ./stampchat outputs

      ./stampchat outputs --json | jq -r .url
    """
    from deployer.outputs import load_outputs

    settings = settings_of(context)
    with settings.display() as display:
        values = load_outputs(settings.workspace, stack, display)
    if as_json:
        write_json(values)
        return
    for name, value in values.items():
        if isinstance(value, dict):
            write(name, *(f"  {key:<16} {inner}" for key, inner in value.items()))
        else:
            write(f"{name:<18} {value}")
