"""The verb local."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from cli.context import Yes, ask, settings_of

Port = Annotated[
    int | None,
    typer.Option("--port", min=1, max=65535, help="The gateway's port (default: 8080, kept from then on)."),
]
Lan = Annotated[bool, typer.Option("--lan", help="Let other machines in, a phone for instance, and say how.")]
Fresh = Annotated[bool, typer.Option("--fresh", help="Delete the data and secrets of earlier starts first; asks.")]
FirebaseFile = Annotated[
    Path | None,
    typer.Option("--firebase", help="The Firebase service account's JSON: Google log-ins and pushes."),
]
ProjectId = Annotated[str, typer.Option("--project-id", help="The Firebase project: Google log-ins without pushes.")]
AsJsonLines = Annotated[bool, typer.Option("--json", help="Write JSON lines, each with its service, for machines.")]


def local(
    context: typer.Context,
    *,
    port: Port = None,
    lan: Lan = False,
    fresh: Fresh = False,
    firebase: FirebaseFile = None,
    project_id: ProjectId = "",
    yes: Yes = False,
    as_json: AsJsonLines = False,
) -> None:
    """Run the three services here, without a cluster: for working on them, or on the app.

    One Postgres, auth, chat, notifications and the gateway, in one window. A saved change in services/ is served
    at once, data stays from start to start, and one Ctrl-C ends all of it. Needs no root and no Docker.

    [bold]Examples[/bold]

      ./stampchat local

      ./stampchat local --lan            a phone on the same network can join

      ./stampchat local --fresh          without the data of earlier starts
    """
    from deployer.local import LocalOptions, run

    if isinstance(sys.stdout, io.TextIOWrapper):
        # A terminal of another encoding shows a question mark for what it lacks; it ends nothing.
        sys.stdout.reconfigure(errors="replace")
    settings = settings_of(context)
    options = LocalOptions(
        port=port,
        lan=lan,
        fresh=fresh,
        confirm=lambda question: ask(question, yes=yes),
        firebase=firebase,
        project_id=project_id,
        as_json=as_json,
        colour=wants_colour(),
        quiet=settings.quiet,
    )
    code = run(settings.workspace, options, sys.stdout)
    try:
        sys.stdout.flush()
    except OSError:
        # `local | head`: nobody is left to be told, and Python need not try it at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise typer.Exit(code)


def wants_colour() -> bool:
    """Tell whether standard output is a terminal whose user likes colours (no-color.org)."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM", "dumb") != "dumb"
