"""Record what a display was told, for the tests of steps and operations."""

from __future__ import annotations


class Recorder:
    """Keep every call as a line."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def begin(self, step: str, purpose: str) -> None:
        self.lines.append(f"begin {step}: {purpose}")

    def note(self, text: str) -> None:
        self.lines.append(f"note {text}")

    def line(self, text: str) -> None:
        self.lines.append(f"line {text}")

    def end(self, outcome: str, seconds: float) -> None:
        del seconds
        self.lines.append(f"end {outcome}")

    def fail(self, seconds: float) -> None:
        del seconds
        self.lines.append("fail")
