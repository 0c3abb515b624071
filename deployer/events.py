"""Read the engine's event stream: what it plans, what it does, what fails and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deployer.difference import difference

_LAST_INDEX = re.compile(r"\[\d+\]$")
_SHOWN_DIFFS = 3
# The engine marks colours in its texts as <{%reset%}>.
_COLOUR = re.compile(r"<\{%.*?%\}>")
_DOING = {
    "create": "creating",
    "update": "updating",
    "delete": "deleting",
    "replace": "replacing",
    "create-replacement": "creating anew",
    "delete-replaced": "deleting the old",
    "refresh": "reading",
    "read": "reading",
}
_DONE = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    "replace": "replaced",
    "create-replacement": "created anew",
    "delete-replaced": "deleted the old",
    "refresh": "read",
    "read": "read",
}
_ORDER = ("create", "update", "replace", "delete")
_CREATES = ("create", "create-replacement")
# A replacement is three events; the middle one is logical and would be counted twice.
_SILENT = {"same", "replace", "read", "refresh", "discard"}


@dataclass(frozen=True)
class Resource:
    """Name one resource as a person would: Deployment stamp-chat-auth.

    Attributes:
        urn: the engine's own name for it.
        kind: the last part of its type.
        name: the name that the program gave it.
    """

    urn: str
    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


def parse_urn(urn: str) -> Resource:
    """Take a resource's type and name out of its URN (urn:pulumi:STACK::PROJECT::TYPES::NAME)."""
    parts = urn.split("::", 3)
    if len(parts) < 4:  # noqa: PLR2004  # the four parts of every URN
        return Resource(urn, "resource", urn)
    kind = parts[2].rsplit("$", 1)[-1].rsplit(":", 1)[-1]
    return Resource(urn, kind, parts[3])


@dataclass(frozen=True)
class Change:
    """One planned or finished change of one resource.

    Attributes:
        op: the engine's operation.
        resource: which one.
        diffs: the paths of the properties that differ.
        custom: whether it is a resource of a plugin, and no component.
        lines: what changes, as `deployer.difference` writes it; secrets are masked by the engine.
    """

    op: str
    resource: Resource
    diffs: tuple[str, ...] = ()
    custom: bool = True
    lines: tuple[str, ...] = ()

    @property
    def doing(self) -> str:
        """Say what is happening: creating Deployment stamp-chat-auth."""
        return f"{_DOING.get(self.op, self.op)} {self.resource}"

    @property
    def done(self) -> str:
        """Say what has happened: created Deployment stamp-chat-auth."""
        return f"{_DONE.get(self.op, self.op)} {self.resource}"

    @property
    def planned(self) -> str:
        """Say what would happen, with the properties that differ."""
        verb = {"create-replacement": "replace", "delete-replaced": "delete the old"}.get(self.op, self.op)
        if not self.diffs or self.op == "create":
            return f"{verb} {self.resource}"
        # A list of which one element is new differs in every element behind it.
        paths = list(dict.fromkeys(_LAST_INDEX.sub("", path) for path in self.diffs))
        more = f" and {len(paths) - _SHOWN_DIFFS} more" if len(paths) > _SHOWN_DIFFS else ""
        return f"{verb} {self.resource} ({', '.join(paths[:_SHOWN_DIFFS])}{more})"


@dataclass
class Outcome:
    """Gather what one engine run said.

    Attributes:
        counts: how many resources got which operation, by the engine's own summary.
        changes: what changes or changed, in the engine's order.
        errors: (resource or None, message) of each error.
        warnings: the texts of warnings and of advisory policies.
        policies: the mandatory policies that were violated.
        uncreated: the states that were to come of creates that failed, as the engine tells of them: secrets masked.
    """

    counts: dict[str, int] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    errors: list[tuple[Resource | None, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    policies: list[str] = field(default_factory=list)
    uncreated: list[Mapping[str, Any]] = field(default_factory=list)

    @property
    def is_unchanged(self) -> bool:
        """Tell whether every resource stays, or stayed, as it is."""
        return not any(count for op, count in self.counts.items() if op not in {"same", "read", "refresh", "discard"})

    @property
    def planned(self) -> str:
        """Count what would change: 34 to create, 2 to update."""
        return self._count({op: f"to {op}" for op in _ORDER})

    @property
    def done(self) -> str:
        """Count what has changed: 34 created, 2 updated."""
        return self._count(_DONE)

    def _count(self, words: Mapping[str, str]) -> str:
        known = [op for op in _ORDER if self.counts.get(op)]
        counted = [f"{self.counts[op]} {words.get(op, op)}" for op in known]
        if self.counts.get("same"):
            counted.append(f"{self.counts['same']} unchanged")
        return ", ".join(counted) or "nothing"


def plain(text: str) -> str:
    """Drop the engine's colour marks."""
    return _COLOUR.sub("", text)


def parse_change(metadata: Mapping[str, Any]) -> Change:
    """Take a step's metadata apart."""
    state = metadata.get("new") or metadata.get("old") or {}
    diffs = metadata.get("detailedDiff") or dict.fromkeys(metadata.get("diffs") or [])
    return Change(
        op=str(metadata.get("op", "")),
        resource=parse_urn(str(metadata.get("urn", ""))),
        diffs=tuple(sorted(diffs)),
        custom=bool(state.get("custom")),
        lines=tuple(difference(str(metadata.get("op", "")), _inputs(metadata, "old"), _inputs(metadata, "new"), diffs)),
    )


def _inputs(metadata: Mapping[str, Any], which: str) -> Mapping[str, Any]:
    inputs = (metadata.get(which) or {}).get("inputs")
    return inputs if isinstance(inputs, Mapping) else {}


class Reader:
    """Fold events into an outcome, and tell a listener what happens meanwhile.

    Args:
        listener: gets (what happens now, a lasting line or None).
    """

    def __init__(self, listener: Listener | None = None) -> None:
        self.outcome = Outcome()
        self._listener = listener
        self._running: dict[str, tuple[Change, float]] = {}

    def read(self, event: Mapping[str, Any]) -> None:
        """Take one event."""
        if pre := event.get("resourcePreEvent"):
            self._begin(parse_change(pre["metadata"]), float(event.get("timestamp", 0)))
        elif outputs := event.get("resOutputsEvent"):
            self._finish(parse_change(outputs["metadata"]), planning=bool(outputs.get("planning")))
        elif failed := event.get("resOpFailedEvent"):
            self._fail(failed["metadata"])
        elif diagnostic := event.get("diagnosticEvent"):
            self._diagnose(diagnostic)
        elif policy := event.get("policyEvent"):
            self._judge(policy)
        elif summary := event.get("summaryEvent"):
            self.outcome.counts = dict(summary.get("resourceChanges") or {})
        elif error := event.get("errorEvent"):
            self.outcome.errors.append((None, plain(str(error.get("error", "")))))

    def _begin(self, change: Change, at: float) -> None:
        # A component is a name for what it holds; the engine is never busy with it.
        if change.op in _SILENT or not change.custom:
            return
        self.outcome.changes.append(change)
        self._running[change.resource.urn] = (change, at)
        if self._listener is not None:
            self._listener.doing(change, len(self._running))

    def _finish(self, change: Change, *, planning: bool) -> None:
        begun = self._running.pop(change.resource.urn, None)
        if begun is not None and self._listener is not None and not planning:
            self._listener.done(change, still=[running for running, _ in self._running.values()])

    def _fail(self, metadata: Mapping[str, Any]) -> None:
        self._running.pop(str(metadata.get("urn")), None)
        if metadata.get("op") in _CREATES and isinstance(metadata.get("new"), Mapping):
            self.outcome.uncreated.append(metadata["new"])

    def _diagnose(self, diagnostic: Mapping[str, Any]) -> None:
        text = plain(str(diagnostic.get("message", ""))).strip()
        urn = str(diagnostic.get("urn") or "")
        severity = diagnostic.get("severity")
        if not text:
            return
        if severity == "error":
            self.outcome.errors.append((parse_urn(urn) if urn else None, text))
        elif severity == "warning":
            self.outcome.warnings.append(text)
        # The engine's own debugging comes on the same stream.
        elif self._listener is not None and str(severity).startswith("info"):
            self._listener.said(parse_urn(urn) if urn else None, text, lasting=not diagnostic.get("ephemeral"))

    def _judge(self, policy: Mapping[str, Any]) -> None:
        # The engine puts the policy's description before what was found.
        said = plain(str(policy.get("message", ""))).strip()
        text = f"{policy.get('policyName')}: {said.partition(chr(10))[2].strip() or said}"
        if policy.get("enforcementLevel") == "mandatory":
            self.outcome.policies.append(text)
        elif text not in self.outcome.warnings:
            self.outcome.warnings.append(text)


class Listener:
    """Hear what the engine does; the default hears nothing."""

    def doing(self, change: Change, running: int) -> None:
        """Hear that a change began, as one of so many at this moment."""

    def done(self, change: Change, still: list[Change]) -> None:
        """Hear that a change ended, and which are still under way."""

    def said(self, resource: Resource | None, text: str, *, lasting: bool) -> None:
        """Hear what a resource's plugin or the program has to say."""
