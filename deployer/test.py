"""Run every check of this checkout and report all that fail, not the first."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer import cluster, images
from deployer.engine import ensure_engine
from deployer.errors import DeployError
from deployer.steps import Display, Step, run_steps
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


def prepare(workspace: Workspace, display: Display) -> None:
    """Build what the tests run for real, so that no test waits for a compiler; what is cached costs nothing.

    Raises:
        DeployError: something cannot be had here; the error says what was tried.
    """

    def engine(report: Display) -> str:
        found = ensure_engine(workspace, report)
        return f"Pulumi {found.version} ({found.source})"

    def programs(report: Display) -> str:
        cluster.prepare(workspace, report)
        return "present"

    def extras(report: Display) -> str:
        try:
            return ", ".join(cluster.build_extras(workspace, report))
        except DeployError as error:  # the tests that need them say so; all others run
            display.line(str(error))
            return "not all could be built"

    def build(report: Display) -> str:
        return f"{len(images.build_images(workspace, report))} images"

    steps = [Step("engine", "find or build the Pulumi engine", engine)]
    if is_root_on_linux():
        steps.append(Step("cluster", "build the cluster's programs", programs))
        steps.append(Step("images", "build the container images", build))
        steps.append(Step("extras", "build what a cluster has beside them", extras))
    run_steps(steps, display)


def is_root_on_linux() -> bool:
    """Tell whether the tests of the embedded cluster can run here; where they cannot they say so themselves."""
    return sys.platform == "linux" and os.geteuid() == 0


def checks(pytest_args: Sequence[str]) -> list[Check]:
    """List the checks; pytest comes last, so that its closing line closes the output."""
    tools = Path(sys.executable).parent
    return [
        Check("format", (str(tools / "ruff"), "format", "--check", "--quiet", ".")),
        Check("lint", (str(tools / "ruff"), "check", "--quiet", ".")),
        Check("types", (str(tools / "mypy"), "--no-error-summary")),
        Check("arrows", (str(tools / "lint-imports"),)),
        Check("tests", (sys.executable, "-m", "pytest", *spread(pytest_args), *pytest_args)),
    ]


def spread(pytest_args: Sequence[str]) -> list[str]:
    """Return the arguments that spread the tests over processes, one a core.

    Much of their time they wait, but two clusters and a compiler at once leave a third process late for everything.

    Args:
        pytest_args: the user's; whoever says -n, or takes the plugin away, is not contradicted.
    """
    said = any(word.startswith("-n") or word in {"no:xdist", "-pno:xdist"} for word in pytest_args)
    return [] if said else [f"-n{os.cpu_count() or 1}"]


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
        status, said = _run(check.command, workspace.root, live=live)
        verdict = Verdict(check.name, status, time.monotonic() - started)
        if not live:
            if status != 0:
                sys.stderr.write(said)
                sys.stderr.flush()
            announce(verdict)
        verdicts.append(verdict)
    return verdicts


def _run(command: Sequence[str], folder: Path, *, live: bool) -> tuple[int, str]:
    """Run a program to its end, even after Ctrl-C: the terminal tells it as well, and it has things to put away."""
    kept = None if live else subprocess.PIPE
    with subprocess.Popen(
        command, cwd=folder, stdout=kept, stderr=subprocess.STDOUT if kept else None, text=True
    ) as run:
        try:
            said, _ = run.communicate()
        except KeyboardInterrupt:
            with _deaf():
                run.wait()
            raise
    return run.returncode, said or ""


@contextlib.contextmanager
def _deaf() -> Iterator[None]:
    """Hear no further Ctrl-C until the end of the block; who is waited for hears them all."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
