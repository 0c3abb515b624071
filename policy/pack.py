"""Hold what the engine shows to the rules: each resource by itself, and all of a stack together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from policy import access, workloads
from policy.exceptions import find_exception
from policy.relations import STACK_RULES
from policy.rule import Json, StackRule, Thing
from policy.values import UnknownValueError

RULES = (*workloads.RULES, *access.RULES)
EXCEPTIONS = "exceptions"
EXCEPTIONS_DESCRIPTION = "What is excepted from a rule is told, with the reason."


@dataclass(frozen=True)
class Shown:
    """Be one resource as the engine shows it.

    Attributes:
        urn: its name for the engine.
        type: its type token.
        name: its name in the program.
        read: returns its inputs, which takes time.
    """

    urn: str
    type: str
    name: str
    read: Callable[[], Json]


@dataclass(frozen=True)
class Violation:
    """Say what is wrong.

    Attributes:
        rule: the rule's name.
        description: what the rule asks.
        text: what is wrong with which object.
        advisory: whether it is shown only, and stops nothing.
    """

    rule: str
    description: str
    text: str
    advisory: bool = False


class Pack:
    """Judge a stack's resources, in the order in which the engine shows them."""

    def __init__(self) -> None:
        # Each object as the program wrote it: of one that exists the engine shows more to what judges the whole stack,
        # such as the count of pods that an autoscaler decides.
        self._written: dict[str, Json] = {}

    def judge(self, shown: Shown) -> Iterator[Violation]:
        """Judge a resource that the program registers."""
        props = self._written[shown.urn] = shown.read()
        # What only the update will know is judged by the next preview.
        with suppress(UnknownValueError):
            kind, name = shown.type.rpartition(":")[2], object_name(shown.name, props)
            for rule in RULES:
                if find_exception(rule.name, kind, name) is None:
                    with suppress(UnknownValueError):
                        for problem in rule.judge(shown.type, props):
                            yield Violation(rule.name, rule.description, f"{name}: {problem}.")

    def judge_all(self, shown: Sequence[Shown]) -> Iterator[Violation]:
        """Judge how the stack's Kubernetes objects fit together, and tell what is excepted from a rule."""
        things = [self._thing(one) for one in shown if one.type.startswith("kubernetes:")]
        for rule in STACK_RULES:
            yield from _judge_stack(rule, things)
        for text in _excepted(things):
            yield Violation(EXCEPTIONS, EXCEPTIONS_DESCRIPTION, text, advisory=True)

    def _thing(self, shown: Shown) -> Thing:
        props = self._written[shown.urn] if shown.urn in self._written else shown.read()
        return Thing(shown.type, object_name(shown.name, props), props)


def _judge_stack(rule: StackRule, things: Sequence[Thing]) -> Iterator[Violation]:
    try:
        for thing, problem in rule.judge(things):
            if find_exception(rule.name, thing.kind, thing.name) is None:
                yield Violation(rule.name, rule.description, f"{thing.kind} {thing.name}: {problem}.")
    except UnknownValueError as error:
        yield Violation(rule.name, rule.description, f"Judged by the next preview: {error}.", advisory=True)


def _excepted(things: Sequence[Thing]) -> Iterator[str]:
    """Tell what a rule would have found but for an exception."""
    for rule in RULES:
        for thing in things:
            excepted = find_exception(rule.name, thing.kind, thing.name)
            with suppress(UnknownValueError):
                if excepted is not None and any(rule.judge(thing.type, thing.props)):
                    yield f"{rule.name} does not bind {thing.kind} {thing.name}: {excepted.reason}."
    for stack_rule in STACK_RULES:
        with suppress(UnknownValueError):
            for thing, _ in stack_rule.judge(things):
                excepted = find_exception(stack_rule.name, thing.kind, thing.name)
                if excepted is not None:
                    yield f"{stack_rule.name} does not bind {thing.kind} {thing.name}: {excepted.reason}."


def object_name(name: str, props: Mapping[str, Any]) -> str:
    """Return an object's own name, or the program's for it."""
    metadata = props.get("metadata")
    own = metadata.get("name") if isinstance(metadata, Mapping) else None
    return str(own or name)
