"""Hold what every verb needs: the global options, the display, and how results are printed."""

from __future__ import annotations

import json
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from cli.display import CommandDisplay
    from deployer.workspace import Workspace

Stack = Annotated[
    str, typer.Argument(help="The stack: dev (on this machine) or prod; --stack NAME says the same.", show_default=True)
]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON, for machines.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Answer every question with yes.")]


@dataclass(frozen=True)
class Settings:
    """The global options.

    Attributes:
        debug: show stack traces.
        quiet: show no progress.
    """

    debug: bool = False
    quiet: bool = False

    @property
    def workspace(self) -> Workspace:
        """Find this checkout's folders."""
        from deployer.workspace import load_workspace

        return load_workspace()

    def display(self) -> CommandDisplay:
        """Choose how progress is shown: live on a terminal, as plain lines in a log, or not at all."""
        from cli.display import choose_display

        return choose_display(quiet=self.quiet)


def settings_of(context: typer.Context) -> Settings:
    """Return the global options that a command was called with."""
    found = context.find_object(Settings)
    return found if found is not None else Settings()


def write_json(value: Any) -> None:
    """Print a result for a machine."""
    sys.stdout.write(json.dumps(value, indent=2, default=str) + "\n")


def write(*lines: str) -> None:
    """Print a result for a person, a line each."""
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    sys.stdout.flush()


def ask(question: str, *, yes: bool, display: CommandDisplay | None = None) -> bool:
    """Ask a person before something that cannot be taken back.

    Args:
        question: what is about to happen.
        yes: whether `--yes` was given; then the question is only shown.
        display: what is shown meanwhile; it holds still for the answer.
    """
    if yes:
        sys.stderr.write(f"{question} (--yes)\n")
        return True
    if not sys.stdin.isatty():
        sys.stderr.write(f"{question} Nobody is here to confirm it.\n")
        return False
    with display.paused() if display is not None else nullcontext():
        return typer.confirm(f"{question} Go on?", err=True)


def ask_text(question: str, *, display: CommandDisplay) -> str:
    """Have a person type something; nobody there types nothing."""
    if not sys.stdin.isatty():
        sys.stderr.write(f"{question}: nobody is here to type it.\n")
        return ""
    with display.paused():
        return str(typer.prompt(question, default="", show_default=False, err=True))
