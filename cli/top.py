"""The verb top."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.context import AsJson, Stack, settings_of, write_json

if TYPE_CHECKING:
    from deployer.top import Picture, Watch


def top(
    context: typer.Context,
    stack: Stack = "dev",
    *,
    interval: Annotated[float, typer.Option("--interval", "-i", min=0.5, max=60, help="Seconds between looks.")] = 2.0,
    once: Annotated[bool, typer.Option("--once", help="Look twice, an interval apart, print and end.")] = False,
    as_json: AsJson = False,
    svg: Annotated[
        Path | None, typer.Option("--svg", help="Draw it into this file instead, as the README has it.", dir_okay=False)
    ] = None,
) -> None:
    """Watch a deployment live: pods, sockets, messages, latencies, pushes, databases; what fails and is slow first.

    It asks the services' own metrics through the cluster's API; nothing has to be installed. `q` or Ctrl-C ends it.

    [bold]Examples[/bold]

      ./stampchat top

      ./stampchat top prod --interval 5

      ./stampchat top --once --json | jq .totals
    """
    from deployer.top import Watch

    watch = Watch(settings_of(context).workspace, stack)
    if once or as_json or svg is not None or not _is_terminal():
        picture = _look_twice(watch, interval)
        _show(picture, as_json=as_json, svg=svg)
        return
    from cli.top_live import watch_live

    try:
        watch_live(watch, interval)
    except KeyboardInterrupt:
        # The way to end it is no failure.
        raise typer.Exit(0) from None


def _is_terminal() -> bool:
    from rich.console import Console

    console = Console()
    if console.is_terminal and not console.is_dumb_terminal:
        return True
    sys.stderr.write("This is no terminal that can be redrawn, so it is shown once, as --once does.\n")
    return False


def _look_twice(watch: Watch, interval: float) -> Picture:
    """Rates and latencies are what changed between two looks."""
    from deployer.errors import DeployError

    if not watch.look().rows:
        raise DeployError("Nothing is deployed.", advice="`./stampchat up` deploys.")
    time.sleep(interval)
    return watch.look()


def _show(picture: Picture, *, as_json: bool, svg: Path | None) -> None:
    from cli.still import draw
    from cli.top_view import View

    if svg is not None:
        svg.write_text(draw(View(picture), "./stampchat top"), encoding="utf-8")
    if as_json:
        from deployer.top import as_plain

        write_json(as_plain(picture))
    elif svg is None:
        from rich.console import Console

        Console(highlight=False, soft_wrap=False).print(View(picture))
