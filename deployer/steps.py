"""Run an operation as an ordered list of named steps; read from top to bottom the list documents it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from deployer.errors import DeployError, StoppedError
from deployer.report import Report

T = TypeVar("T")


class Display(Report, Protocol):
    """Show steps as they run."""

    def begin(self, step: str, purpose: str) -> None:
        """Announce a step and what it is for."""

    def line(self, text: str) -> None:
        """Show one lasting line under the current step."""

    def end(self, outcome: str, seconds: float) -> None:
        """Close the current step with what came of it."""

    def fail(self, seconds: float) -> None:
        """Close the current step as failed; the reason follows from whoever catches the error."""


@dataclass(frozen=True)
class Step:
    """One thing to do.

    Attributes:
        name: one word, as it stands in the list of times.
        purpose: what it does, in a few words.
        run: does it, and says in a few words what came of it.
    """

    name: str
    purpose: str
    run: Callable[[Display], str]


@dataclass(frozen=True)
class Timing:
    """How long a step took, and what came of it."""

    name: str
    seconds: float
    outcome: str


def run_steps(steps: Sequence[Step], display: Display) -> list[Timing]:
    """Run every step in order and stop at the first that fails.

    Raises:
        DeployError: whatever the failing step raised.
        StoppedError: the user pressed Ctrl-C.
    """
    timings = []
    for step in steps:
        display.begin(step.name, step.purpose)
        started = time.monotonic()
        try:
            outcome = step.run(display)
        except KeyboardInterrupt as error:
            display.fail(time.monotonic() - started)
            raise StoppedError(
                f"Stopped as you asked, during the step {step.name!r}.",
                advice="Nothing is lost: the same command goes on from there.",
            ) from error
        except BaseException:
            display.fail(time.monotonic() - started)
            raise
        seconds = time.monotonic() - started
        display.end(outcome, seconds)
        timings.append(Timing(step.name, seconds, outcome))
    return timings


class Background(Generic[T]):
    """Begin a step's work early, beside the steps before it, and show it when its turn comes.

    It serves work that waits for the network while another step keeps the processors busy.
    The thread is a daemon: when an earlier step fails, nobody waits for this one, so its work must leave
    nothing half-made under a final name.

    Args:
        work: what to run; it gets a report that is silent until `join`.
    """

    def __init__(self, work: Callable[[Report], T]) -> None:
        self._work = work
        self._result: list[T] = []
        self._error: BaseException | None = None
        self._note = ""
        self._listener: Report | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def note(self, text: str) -> None:
        """Keep the newest status, and pass it on once somebody looks."""
        self._note = text
        if self._listener is not None:
            self._listener.note(text)

    def join(self, report: Report) -> T:
        """Wait for the result, showing progress on the given report.

        Work that has failed already is done again: what was not reached some minutes ago may be by now.

        Raises:
            BaseException: whatever the work raised.
        """
        if isinstance(self._error, DeployError):
            report.note("trying again what failed before")
            return self._work(report)
        self._listener = report
        if self._note and self._thread.is_alive():
            report.note(self._note)
        while self._thread.is_alive():
            # A join without a time limit cannot be interrupted by Ctrl-C on every platform.
            self._thread.join(timeout=0.2)
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _run(self) -> None:
        try:
            self._result.append(self._work(self))
        except BaseException as error:  # noqa: BLE001  # raised again in the thread that joins
            self._error = error
