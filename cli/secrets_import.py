"""The verb secrets import."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from cli.context import AsJson, settings_of, write, write_json
from cli.secrets import Stack


def import_original(
    context: typer.Context,
    *,
    stack: Stack = "prod",
    databases: Annotated[
        bool, typer.Option("--databases", help="Take the databases' addresses, too: they are adopted where they are.")
    ] = False,
    accept: Annotated[
        int,
        typer.Option(
            "--accept-tokens-for",
            help="Hours from now in which the original's tokens are good; 0: people log in again.",
            min=0,
            max=24,
        ),
    ] = 0,
    as_json: AsJson = False,
) -> None:
    """Take in the original's Secrets from standard input, encrypted into the stack's file.

    [bold]Example[/bold]

      kubectl get secrets -o json auth-stamp-chat-secret firebase-secret | ./stampchat secrets import
    """
    from deployer.secrets.original import read_original
    from deployer.secrets.store import store

    settings = settings_of(context)
    original = read_original(sys.stdin.read(), databases=databases, accept_hours=accept)
    with settings.display() as display:
        stored = store(settings.workspace, stack, original.secrets, original.plain, display)
    if as_json:
        write_json({"file": str(stored.path), "taken": original.taken, "values": original.plain})
        return
    write(*(f"{name:<26} from {place}" for name, place in original.taken.items()))
    write(*(f"{key.partition(':')[2]:<26} {value}" for key, value in original.plain.items()))
    write(f"Written to {stored.path.name}, secrets encrypted. `./stampchat secrets init` asks for what is missing.")
