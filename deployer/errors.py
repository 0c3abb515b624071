"""Say what failed, in its own last words, and what to try.

DeployError (exit 1)
├── UsageError (exit 2): the user asked for something that cannot be
├── DriftError (exit 3): what runs is not what the program says
├── StoppedError (exit 130): the user pressed Ctrl-C
└── ProcessError: a program that we ran failed
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence


class DeployError(Exception):
    """Report one failure to the user as one paragraph.

    Args:
        what: one sentence that says what failed.
        said: the failing part's own last words (pod events, the tail of a log), or nothing.
        advice: what the user can do next, one or two sentences.
    """

    exit_code = 1

    def __init__(self, what: str, *, said: str = "", advice: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.said = said.strip()
        self.advice = advice

    def __str__(self) -> str:
        quoted = "\n".join(f"  | {line}" for line in self.said.splitlines())
        return "\n".join(part for part in (self.what, quoted, self.advice) if part)


class UsageError(DeployError):
    """Refuse what the user asked for, before anything changed."""

    exit_code = 2


class DriftError(DeployError):
    """Report that what runs differs from what the program says."""

    exit_code = 3


class StoppedError(DeployError):
    """Report that the user stopped an operation, and that nothing is lost by it."""

    exit_code = 130


class ProcessError(DeployError):
    """Report a program that failed, with a line that can be pasted into a shell and its last words.

    Args:
        command: the argument vector that ran; it must hold no secret.
        status: its exit status, negative for a signal.
        output: what it printed; the last twenty lines are kept.
        advice: what the user can do next.
    """

    def __init__(self, command: Sequence[str], *, status: int, output: str = "", advice: str = "") -> None:
        tail = "\n".join(output.strip().splitlines()[-20:])
        super().__init__(f"`{shlex.join(command)}` failed with status {status}.", said=tail, advice=advice)
        self.command = list(command)
        self.status = status
