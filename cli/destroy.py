"""The verb destroy."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import AsJson, Stack, Yes, ask, ask_text, settings_of, write, write_json

Unprotect = Annotated[
    bool, typer.Option("--unprotect", help="Delete what is protected as well; asks for the stack's name.")
]
Name = Annotated[
    str, typer.Option("--name", help="With --unprotect: the stack's name, for scripts, in place of typing it.")
]


def destroy(
    context: typer.Context,
    stack: Stack = "dev",
    *,
    yes: Yes = False,
    unprotect: Unprotect = False,
    name: Name = "",
    as_json: AsJson = False,
) -> None:
    """Delete everything in a stack, the messages in its databases included; asks first.

    Hosted databases are no part of a stack and stay. In prod the namespace and the keys are protected.

    The cluster keeps running, empty: [bold]./stampchat cluster down --purge[/bold] takes it away as well,
    and [bold]./stampchat uninstall[/bold] the cache too.

    [bold]Examples[/bold]

      ./stampchat destroy

      ./stampchat destroy --yes      without a question

      ./stampchat destroy prod --unprotect
    """
    from deployer.destroy import Consent
    from deployer.destroy import destroy as run

    settings = settings_of(context)
    with settings.display() as display:
        consent = Consent(
            confirm=lambda question: ask(question, yes=yes, display=display),
            unprotect=unprotect,
            type_name=lambda question: name or ask_text(f"{question} Type the stack's name to go on", display=display),
        )
        outcome = run(settings.workspace, stack, display, consent)
    if as_json:
        write_json({"deleted": outcome.counts.get("delete", 0)})
        return
    deleted = outcome.counts.get("delete", 0)
    if not deleted:
        write(f"Stack {stack} holds nothing; there was nothing to delete.")
        return
    if stack == "dev":
        write(f"Stack {stack} is empty: {deleted} resources are gone, their data too.")
        write("The cluster itself still runs; ./stampchat cluster down --purge takes it away.")
    else:
        write(f"Stack {stack} is empty: {deleted} resources are gone. Its hosted databases are as they were.")
