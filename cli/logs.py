"""The verb logs."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import settings_of, write


def logs(
    context: typer.Context,
    service: Annotated[str, typer.Argument(help="auth, chat, notifications, gateway, or a workload's own name.")],
    *,
    stack: Annotated[str, typer.Option("--stack", "-s", help="The stack.")] = "dev",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on as lines come, until Ctrl-C.")] = False,
    tail: Annotated[int, typer.Option("--tail", "-n", min=0, help="How many lines of each pod to begin with.")] = 100,
    previous: Annotated[bool, typer.Option("--previous", "-p", help="Read what ran before the last restart.")] = False,
) -> None:
    """Print what a service writes, from each of its pods.

    [bold]Examples[/bold]

      ./stampchat logs chat

      ./stampchat logs auth -f --tail 10

      ./stampchat logs db-stamp-chat-auth
    """
    from deployer.logs import read_logs

    settings = settings_of(context)
    lines = read_logs(settings.workspace, stack, service, tail=tail, follow=follow, previous=previous)
    try:
        for line in lines:
            write(line)
    except KeyboardInterrupt:
        # The way to end a followed log is no failure.
        raise typer.Exit(0) from None
