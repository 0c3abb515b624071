"""Be one rule that says when a person has to look."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["critical", "warning"]


@dataclass(frozen=True)
class Alert:
    """Be one rule.

    Attributes:
        name: what follows StampChat in the alert's name, and the name of its page.
        expr: what is true when a person should look, in PromQL.
        wait: for how long it has to be true, as Prometheus writes a duration.
        severity: critical wakes somebody up, warning waits for the morning.
        summary: one line, for a pager.
        description: what it means for people who chat, and the figure.
    """

    name: str
    expr: str
    wait: str
    severity: Severity
    summary: str
    description: str
