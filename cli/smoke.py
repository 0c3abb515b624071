"""The verb smoke."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import AsJson, Stack, settings_of, write, write_json

if TYPE_CHECKING:
    from deployer.smoke import Result


def smoke(
    context: typer.Context,
    stack: Stack = "dev",
    *,
    url: Annotated[str, typer.Option("--url", help="Play against this gateway instead of the stack's.")] = "",
    local: Annotated[bool, typer.Option("--local", help="Play against what `./stampchat local` runs here.")] = False,
    as_json: AsJson = False,
) -> None:
    """Play two users through the gateway, and print what passed and how long they waited.

    They log in, open a group, join it, chat over websockets with a Phoenix client that others wrote, stamp a message
    and read the history; a third who was not invited is kept out, and so is everybody from internal paths.

    [bold]Examples[/bold]

      ./stampchat smoke

      ./stampchat smoke --local

      ./stampchat smoke --url https://chat.example.org
    """
    from deployer.local import local_url
    from deployer.smoke import smoke as run
    from deployer.status import stack_url

    settings = settings_of(context)
    where = url.rstrip("/") or (local_url(settings.workspace) if local else stack_url(settings.workspace, stack))
    results: list[Result] = []

    def announce(result: Result) -> None:
        results.append(result)
        if not as_json:
            write(f"  {'pass' if result.passed else 'FAIL'}  {result.ms:>8.1f} ms  {result.name}")

    if not as_json:
        write(f"Two users chat through {where}")
    try:
        run(where, announce)
    finally:
        if as_json:
            passed = bool(results) and all(result.passed for result in results)
            write_json({"url": where, "passed": passed, "checks": [asdict(result) for result in results]})
    if not as_json:
        write(f"{len(results)} checks passed.")
