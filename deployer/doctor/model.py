"""Say what an examination of the machine found."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

State = Literal["ok", "missing", "note"]
GROUPS = ("machine", "kernel", "tools", "cache", "network")


@dataclass(frozen=True)
class Finding:
    """Say how one thing is.

    Attributes:
        group: one of GROUPS.
        name: what was looked at, in a word or two.
        state: "ok", "missing" when `up` cannot go without it, "note" when it can.
        said: what was found.
        remedy: the command or the sentence that brings it; empty where nothing is to be done.
    """

    group: str
    name: str
    state: State
    said: str
    remedy: str = ""


@dataclass(frozen=True)
class Examination:
    """Hold all that was found.

    Attributes:
        findings: in the order of their groups.
        disk_needed: bytes that `up` still takes, cache and state together.
        memory_needed: bytes that should be free.
        changes: what `up` would change on the machine, a sentence each.
        takes: how long it would take, for people.
    """

    findings: tuple[Finding, ...]
    disk_needed: int
    memory_needed: int
    changes: tuple[str, ...]
    takes: str

    @property
    def missing(self) -> list[Finding]:
        """What `up` cannot go without."""
        return [finding for finding in self.findings if finding.state == "missing"]

    @property
    def ready(self) -> bool:
        """Whether `up` can go."""
        return not self.missing

    def as_json(self) -> dict[str, Any]:
        """Return all of it for machines."""
        return {**asdict(self), "ready": self.ready}
