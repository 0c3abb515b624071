"""The verb test."""

from __future__ import annotations

import sys

import typer

from cli.context import settings_of


def test(context: typer.Context) -> None:
    """Run every check: format, lint, types, import arrows, tests; what follows goes to pytest.

    [bold]Examples[/bold]

      ./stampchat test                        all of it; minutes

      ./stampchat test -m "not e2e"           without the end-to-end test

      ./stampchat test tests/services -x      some tests, up to the first failure

      ./stampchat test -n0 -k deletion        in one process, where a debugger works
    """
    from cli.display import elapsed
    from deployer.test import Verdict, prepare, run_checks

    def announce(verdict: Verdict) -> None:
        state = "passed" if verdict.status == 0 else "FAILED"
        sys.stderr.write(f"{verdict.name:<8} {state}  {elapsed(verdict.seconds)}\n")
        sys.stderr.flush()

    settings = settings_of(context)
    with settings.display() as display:
        prepare(settings.workspace, display)
    verdicts = run_checks(settings.workspace, context.args, announce)
    if any(verdict.status != 0 for verdict in verdicts):
        raise typer.Exit(1)
