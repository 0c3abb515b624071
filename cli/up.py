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
Lan = Annotated[
    bool | None,
    typer.Option(
        "--lan/--no-lan",
        help="Whether other machines reach that port, a phone for instance (default: as before; at first none does).",
    ),
]
Cluster = Annotated[
    str,
    typer.Option(
        "--cluster",
        help="Where stack dev's cluster is: embedded, kind, k3d, or a context of your kubeconfig (kept from then on).",
        show_default=False,
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
    lan: Lan = None,
    cluster: Cluster = "",
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

      ./stampchat up --lan           a phone on the same network can join, until --no-lan

      ./stampchat up --cluster kind  a cluster that kind makes in Docker; on macOS, or without root

      ./stampchat up prod            the cluster that Pulumi.prod.yaml names; asks after the plan
    """
    from deployer.up import UpOptions
    from deployer.up import up as run

    settings = settings_of(context)
    with settings.display() as display:
        options = UpOptions(
            stack=stack,
            port=port,
            lan=lan,
            cluster=cluster,
            refresh=refresh,
            take_over=take_over,
            confirm=lambda question: ask(question, yes=yes, display=display),
        )
        result = run(settings.workspace, options, display)
    if as_json:
        steps = [{"step": t.name, "seconds": round(t.seconds, 3), "outcome": t.outcome} for t in result.timings]
        told = {"url": result.url, "changes": result.outcome.counts, "steps": steps}
        write_json({**told, "lan": lan_urls(result.lan_port)})
        return
    _tell(result.url, changed=not result.outcome.is_unchanged, seconds=sum(t.seconds for t in result.timings))
    write(*lan_told(result.lan_port))


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


def lan_urls(port: int | None) -> list[str]:
    """List where other machines reach a port that was opened to them; where none was, nothing."""
    from deployer.local.lan import find_addresses

    return [f"http://{address}:{port}" for address in find_addresses()] if port else []


def lan_told(port: int | None) -> list[str]:
    """Say what a person has to know of a port that was opened to other machines; where none was, nothing.

    Args:
        port: the gateway's, or None.
    """
    from cli.local import wants_colour
    from deployer.local.lan import find_addresses, lan_lines

    if port is None:
        return []
    lines = lan_lines(port, find_addresses(), picture=wants_colour())
    return [*lines, "  Close     ./stampchat cluster up --no-lan        until then every start opens it again"]
