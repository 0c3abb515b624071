"""Show steps: live on a terminal, as plain lines in a log, or not at all. Everything goes to standard error."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Protocol, Self, TextIO

from deployer.steps import Display

if TYPE_CHECKING:
    from rich.progress import Progress

# A note less than this after the last one would only flood a log.
_LOG_PAUSE = 2.0


class CommandDisplay(Display, Protocol):
    """A display that is closed when its command ends."""

    def paused(self) -> AbstractContextManager[None]:
        """Hold still while a person answers a question."""

    def __enter__(self) -> Self:
        """Begin to show."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""


def choose_display(*, quiet: bool) -> CommandDisplay:
    """Choose by what standard error is."""
    if quiet:
        return QuietDisplay()
    if sys.stderr.isatty() and os.environ.get("TERM", "dumb") != "dumb":
        return TerminalDisplay()
    return PlainDisplay(sys.stderr)


def elapsed(seconds: float) -> str:
    """Write a duration as a person reads it: 0.4 s, 12 s, 3 min 05 s."""
    if seconds < 10:  # noqa: PLR2004  # tenths matter below ten seconds
        return f"{seconds:.1f} s"
    if seconds < 60:  # noqa: PLR2004  # a minute
        return f"{seconds:.0f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:02.0f} s"


class QuietDisplay:
    """Show nothing."""

    def paused(self) -> AbstractContextManager[None]:
        """Go on, as there is nothing that moves."""
        return nullcontext()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    def begin(self, step: str, purpose: str) -> None:
        """Show nothing."""

    def note(self, text: str) -> None:
        """Show nothing."""

    def line(self, text: str) -> None:
        """Show nothing."""

    def end(self, outcome: str, seconds: float) -> None:
        """Show nothing."""

    def fail(self, seconds: float) -> None:
        """Show nothing."""


class PlainDisplay(QuietDisplay):
    """Write a line when something happens, for logs and for pipes.

    Args:
        stream: where to.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._step = ""
        self._purpose = ""
        self._noted = 0.0
        self._last = ""

    def begin(self, step: str, purpose: str) -> None:
        """Remember the step; its line comes with its end."""
        self._step, self._purpose, self._noted, self._last = step, purpose, 0.0, ""

    def note(self, text: str) -> None:
        """Write what is being done, at most every few seconds."""
        now = time.monotonic()
        if text == self._last or now - self._noted < _LOG_PAUSE:
            return
        self._noted, self._last = now, text
        self._write(f"  ...  {self._step:<8} {text}" if self._step else text)

    def line(self, text: str) -> None:
        """Write a lasting line."""
        self._write(f"         {self._step:<8} {text}" if self._step else text)

    def end(self, outcome: str, seconds: float) -> None:
        """Write the step's line."""
        self._write(f"  done {self._step:<8} {elapsed(seconds):>12}  {outcome}")

    def fail(self, seconds: float) -> None:
        """Write that the step failed."""
        self._write(f"  FAIL {self._step:<8} {elapsed(seconds):>12}  {self._purpose}")

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


class TerminalDisplay(QuietDisplay):
    """Show the current step with a spinner and its elapsed time, and finished ones above it."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
        from rich.table import Column

        self._console = Console(stderr=True, highlight=False)
        self._progress: Progress = Progress(
            SpinnerColumn(),
            TextColumn("[bold]{task.fields[step]:<8}[/bold]"),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            console=self._console,
            transient=True,
        )
        self._step = ""
        self._purpose = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the spinner away, and put it back."""
        self._progress.stop()
        try:
            yield
        finally:
            self._progress.start()

    def begin(self, step: str, purpose: str) -> None:
        """Put the spinner on a new step."""
        self._step, self._purpose = step, purpose
        self._clear()
        self._progress.add_task(purpose, step=step, total=None)

    def note(self, text: str) -> None:
        """Show what is being done beside the spinner."""
        if not self._progress.tasks:
            self._progress.add_task(text, step="", total=None)
        self._progress.update(self._progress.tasks[-1].id, description=text)

    def line(self, text: str) -> None:
        """Print a lasting line above the spinner."""
        self._console.print(f"             {text}", markup=False, style="dim")

    def end(self, outcome: str, seconds: float) -> None:
        """Print the step as done."""
        self._close("✓", "green", outcome, seconds)

    def fail(self, seconds: float) -> None:
        """Print the step as failed."""
        self._close("✗", "red", self._purpose, seconds)

    def _close(self, mark: str, colour: str, text: str, seconds: float) -> None:
        from rich.markup import escape

        self._clear()
        self._console.print(f"[{colour}]{mark}[/] [bold]{self._step:<8}[/] {elapsed(seconds):>12}  {escape(text)}")

    def _clear(self) -> None:
        for task in self._progress.tasks:
            self._progress.remove_task(task.id)
