"""The verb destroy."""

from __future__ import annotations

import typer

from cli.context import AsJson, Stack, Yes, ask, settings_of, write, write_json


def destroy(context: typer.Context, stack: Stack = "dev", *, yes: Yes = False, as_json: AsJson = False) -> None:
    """Delete everything in a stack, the messages in its databases included; asks first.

    The cluster keeps running, empty: [bold]./stampchat cluster down --purge[/bold] takes it away as well,
    and [bold]./stampchat uninstall[/bold] the cache too.

    [bold]Examples[/bold]

      ./stampchat destroy

      ./stampchat destroy --yes      without a question
    """
    from deployer.destroy import destroy as run

    settings = settings_of(context)
    with settings.display() as display:
        outcome = run(settings.workspace, stack, display, confirm=lambda question: ask(question, yes=yes))
    if as_json:
        write_json({"deleted": outcome.counts.get("delete", 0)})
        return
    deleted = outcome.counts.get("delete", 0)
    if not deleted:
        write(f"Stack {stack} holds nothing; there was nothing to delete.")
        return
    write(f"Stack {stack} is empty: {deleted} resources are gone, their data too.")
    write("The cluster itself still runs; ./stampchat cluster down --purge takes it away.")
