"""Run every check of this checkout and report all that fail, not the first."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.workspace import Workspace


@dataclass(frozen=True)
class Check:
    """One program that judges the checkout.

    Attributes:
        name: what it is called in the list.
        command: how it is run.
    """

    name: str
    command: tuple[str, ...]


@dataclass(frozen=True)
class Verdict:
    """What a check came to."""

    name: str
    status: int
    seconds: float


def checks(pytest_args: Sequence[str]) -> list[Check]:
    """List the checks; pytest comes last, so that its closing line closes the output."""
    tools = Path(sys.executable).parent
    return [
        Check("format", (str(tools / "ruff"), "format", "--check", "--quiet", ".")),
        Check("lint", (str(tools / "ruff"), "check", "--quiet", ".")),
        Check("types", (str(tools / "mypy"), "--no-error-summary")),
        Check("arrows", (str(tools / "lint-imports"),)),
        Check("tests", (sys.executable, "-m", "pytest", *pytest_args)),
    ]


def run_checks(
    workspace: Workspace, pytest_args: Sequence[str], announce: Callable[[Verdict], None] = lambda _: None
) -> list[Verdict]:
    """Run all checks in order.

    Args:
        workspace: the checkout.
        pytest_args: what is passed on to pytest.
        announce: is told each verdict but the last as it comes.
    """
    verdicts = []
    listed = checks(pytest_args)
    for check in listed:
        started = time.monotonic()
        # Only pytest is watched live; the others speak when they have something to say.
        live = check is listed[-1]
        done = subprocess.run(check.command, cwd=workspace.root, check=False, capture_output=not live, text=True)
        verdict = Verdict(check.name, done.returncode, time.monotonic() - started)
        if not live:
            if done.returncode != 0:
                sys.stderr.write(done.stdout + done.stderr)
                sys.stderr.flush()
            announce(verdict)
        verdicts.append(verdict)
    return verdicts
