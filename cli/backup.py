"""The verbs backup and restore."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from cli.context import AsJson, Stack, Yes, ask, settings_of, write, write_json


def backup(
    context: typer.Context,
    stack: Stack,
    file: Annotated[Path, typer.Argument(help="The file to write.", dir_okay=False)],
    *,
    passphrase: Annotated[
        Path | None,
        typer.Option("--passphrase", help="Write the passphrase into this file, to be kept in another place."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write a stack's state, its history and its file into one file. What is secret in it stays encrypted.

    The state holds the key that signs tokens, and, in dev, the databases' passwords. Databases have backups of their
    own.

    [bold]Example[/bold]

      ./stampchat backup prod prod-2026-11-24.backup --passphrase /media/safe/prod.passphrase
    """
    from deployer.backup import back_up

    settings = settings_of(context)
    with settings.display() as display:
        made = back_up(settings.workspace, stack, file, display, passphrase=passphrase)
    if as_json:
        write_json(asdict(made))
        return
    write(f"{file} holds stack {stack} as of {made.made}: {made.resources} resources, secrets encrypted.")
    if made.passphrase is not None:
        write(f"{made.passphrase} holds the passphrase that opens them: keep it, and never beside the backup.")
    elif made.fingerprint:
        write("The passphrase that opens them is not in it; `--passphrase FILE` writes it to another place.")
    else:
        write(f"What opens them is kept by {made.opened_by}.")


def restore(
    context: typer.Context,
    stack: Stack,
    file: Annotated[Path, typer.Argument(help="The backup.", dir_okay=False)],
    *,
    passphrase: Annotated[
        Path | None, typer.Option("--passphrase", help="The file that the backup's passphrase went to.")
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Put a stack's state back from a backup. The cluster and the databases are not touched.

    [bold]Example[/bold]

      ./stampchat restore prod prod-2026-11-24.backup --passphrase /media/safe/prod.passphrase
    """
    from deployer.backup import restore as run

    settings = settings_of(context)
    with settings.display() as display:
        back = run(
            settings.workspace,
            stack,
            file,
            display,
            passphrase=passphrase,
            confirm=lambda question: ask(question, yes=yes),
        )
    if as_json:
        write_json(asdict(back))
        return
    write(f"Stack {stack} is as it was at {back.made}: {back.resources} resources.")
    if back.restored is not None:
        write(f"The checkout's Pulumi.{stack}.yaml is another than the backup's, which is {back.restored}.")
    write(f"`./stampchat preview {stack} --refresh` shows what has changed since.")
