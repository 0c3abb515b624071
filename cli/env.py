"""The verb env."""

from __future__ import annotations

import shlex
import sys

import typer

from cli.context import AsJson, Stack, settings_of, write, write_json


def env(context: typer.Context, stack: Stack = "dev", *, as_json: AsJson = False) -> None:
    """Print what a plain pulumi needs to work on a stack, as lines for a shell.

    [bold]Example[/bold]

      eval "$(./stampchat env dev)"; pulumi -C "$STAMPCHAT_PROJECT" preview -s dev
    """
    from deployer.env import load_environment, shorten_path

    settings = settings_of(context)
    with settings.display() as display:
        environ = load_environment(settings.workspace, stack, display)
    if as_json:
        write_json(environ)
        return
    for name, value in shorten_path(environ).items():
        # PATH goes on to name the shell's own, so it is quoted in a way that lets it.
        write(f'export {name}="{value}"' if name == "PATH" else f"export {name}={shlex.quote(value)}")
    if sys.stdout.isatty():
        write("", '# eval "$(./stampchat env)" sets them in this shell')
