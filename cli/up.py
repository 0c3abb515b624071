"""The verb up."""

from __future__ import annotations

from typing import Annotated

import typer

from cli.context import AsJson, Stack, Yes, ask, settings_of, write, write_json

Port = Annotated[
    int | None,
    typer.Option(
        "--port", min=1, max=65535, help="The port of this machine to answer at (default: 8080, kept from then on)."
    ),
]
Refresh = Annotated[bool, typer.Option("--refresh", help="Look at what really is there instead of trusting the state.")]
TakeOver = Annotated[
    bool, typer.Option("--take-over", help="Take back fields that somebody else has changed, rather than stop at them.")
]


def up(
    context: typer.Context,
    stack: Stack = "dev",
    *,
    port: Port = None,
    refresh: Refresh = False,
    take_over: TakeOver = False,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Bring a stack up, or up to date: cluster, images, and everything in it.

    Shows the plan before it changes anything, and at the end the URL and how to log in.
    Stopped or failed half-way? Run it again; it goes on from there. With nothing to change it changes nothing.

    [bold]Examples[/bold]

      ./stampchat up                 stack dev on this machine

      ./stampchat up --port 9000     at another port

      ./stampchat up prod            the cluster that Pulumi.prod.yaml names; asks after the plan
    """
    from deployer.up import UpOptions
    from deployer.up import up as run

    settings = settings_of(context)
    with settings.display() as display:
        options = UpOptions(
            stack=stack,
            port=port,
            refresh=refresh,
            take_over=take_over,
            confirm=lambda question: ask(question, yes=yes, display=display),
        )
        result = run(settings.workspace, options, display)
    if as_json:
        steps = [{"step": t.name, "seconds": round(t.seconds, 3), "outcome": t.outcome} for t in result.timings]
        write_json({"url": result.url, "changes": result.outcome.counts, "steps": steps})
        return
    _tell(result.url, changed=not result.outcome.is_unchanged, seconds=sum(t.seconds for t in result.timings))


def _tell(url: str, *, changed: bool, seconds: float) -> None:
    from cli.display import elapsed
    from deployer.greeting import login_lines

    done = f"up in {elapsed(seconds)}" if changed else f"up as it was: nothing to change ({elapsed(seconds)})"
    write("", f"StampChat is {done}.")
    if url:
        write(
            "",
            *login_lines(url),
            "  Try it    ./stampchat smoke        two users chat through the gateway",
            "  Look      ./stampchat status       ./stampchat logs chat",
        )
