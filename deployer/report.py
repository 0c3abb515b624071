"""Where long work says how far it is."""

from __future__ import annotations

from typing import Protocol


class Report(Protocol):
    """Receive progress; the command line shows it live on a terminal and as plain lines in a log."""

    def note(self, text: str) -> None:
        """Replace the current step's one-line status.

        Args:
            text: what is being done now, in a few words ("building Kubernetes, about 5 minutes").
        """


class Silent:
    """Drop progress: for tests and for callers that want none."""

    def note(self, text: str) -> None:
        """Drop the text."""
