"""Say what a rule is: of one resource, or of all of a stack's together; and what is excepted from one, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]


@dataclass(frozen=True)
class Rule:
    """Name one rule about single resources.

    Attributes:
        name: for the reader of a violation.
        description: what it asks, and why.
        judge: yields what is wrong, given a resource's type and inputs.
    """

    name: str
    description: str
    judge: Callable[[str, Json], Iterator[str]]


@dataclass(frozen=True)
class Thing:
    """Be one resource of a stack, as a rule about all of them sees it.

    Attributes:
        type: its type token.
        name: the object's own.
        props: its inputs.
    """

    type: str
    name: str
    props: Json

    @property
    def kind(self) -> str:
        """The last part of its type."""
        return self.type.rpartition(":")[2]

    @property
    def namespace(self) -> str:
        """Where it is."""
        return str((self.props.get("metadata") or {}).get("namespace") or "")


@dataclass(frozen=True)
class StackRule:
    """Name one rule about how a stack's resources fit together.

    Attributes:
        name: for the reader of a violation.
        description: what it asks, and why.
        judge: yields what is wrong, and what is wrong with it.
    """

    name: str
    description: str
    judge: Callable[[Sequence[Thing]], Iterator[tuple[Thing, str]]]


@dataclass(frozen=True)
class Excepted:
    """Except one object from one rule.

    Attributes:
        rule: its name.
        kind: of the object.
        name: of the object.
        reason: why; it is shown at every preview.
    """

    rule: str
    kind: str
    name: str
    reason: str
