"""Wrap each rule as a mandatory policy: a violation stops the preview, and the update with it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from pulumi_policy import (
    EnforcementLevel,
    Policy,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
    StackValidationArgs,
    StackValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

from policy import access, workloads
from policy.exceptions import find_exception
from policy.relations import STACK_RULES
from policy.rule import Rule, StackRule, Thing

RULES = (*workloads.RULES, *access.RULES)
EXCEPTIONS = "exceptions"


def build_policy(rule: Rule) -> ResourceValidationPolicy:
    """Build the policy of one rule about single resources."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        kind, name = args.resource_type.rpartition(":")[2], object_name(args.name, args.props)
        if find_exception(rule.name, kind, name) is None:
            # What only the update will know is judged by the next preview.
            with suppress(UnknownValueError):
                for problem in rule.judge(args.resource_type, args.props):
                    report(f"{name}: {problem}.")

    return ResourceValidationPolicy(name=rule.name, description=rule.description, validate=validate)


def build_stack_policy(rule: StackRule, written: Written) -> StackValidationPolicy:
    """Build the policy of one rule about all resources together."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        for thing, problem in rule.judge(written.things(args)):
            if find_exception(rule.name, thing.kind, thing.name) is None:
                report(f"{thing.kind} {thing.name}: {problem}.")

    return StackValidationPolicy(name=rule.name, description=rule.description, validate=validate)


def build_exceptions(written: Written) -> StackValidationPolicy:
    """Build the policy that shows, and never stops at, what a rule would have found but for an exception."""

    def validate(args: StackValidationArgs, report: ReportViolation) -> None:
        things = written.things(args)
        for rule in RULES:
            for thing in things:
                excepted = find_exception(rule.name, thing.kind, thing.name)
                if excepted is not None and any(rule.judge(thing.type, thing.props)):
                    report(f"{rule.name} does not bind {thing.kind} {thing.name}: {excepted.reason}.")
        for stack_rule in STACK_RULES:
            for thing, _ in stack_rule.judge(things):
                excepted = find_exception(stack_rule.name, thing.kind, thing.name)
                if excepted is not None:
                    report(f"{stack_rule.name} does not bind {thing.kind} {thing.name}: {excepted.reason}.")

    return StackValidationPolicy(
        name=EXCEPTIONS,
        description="What is excepted from a rule is told, with the reason.",
        validate=validate,
        enforcement_level=EnforcementLevel.ADVISORY,
    )


class Written:
    """Remember each object as the program wrote it, since of one that exists the engine shows a stack's rules more.

    They would judge what the server has added, too, such as the count of pods that an autoscaler decides.
    """

    def __init__(self) -> None:
        self._props: dict[str, Mapping[str, Any]] = {}

    def policy(self) -> ResourceValidationPolicy:
        """Build the policy that sees every resource before the stack's rules do, and reports nothing."""

        def remember(args: ResourceValidationArgs, _report: ReportViolation) -> None:
            self._props[args.urn] = args.props

        return ResourceValidationPolicy(
            name="as-written",
            description="What the program wrote is remembered.",
            validate=remember,
            enforcement_level=EnforcementLevel.ADVISORY,
        )

    def things(self, args: StackValidationArgs) -> list[Thing]:
        """Return the stack's Kubernetes objects."""
        return [
            Thing(resource.resource_type, object_name(resource.name, props), props)
            for resource in args.resources
            if resource.resource_type.startswith("kubernetes:")
            for props in (self._props.get(resource.urn, resource.props),)
        ]


def object_name(name: str, props: Mapping[str, Any]) -> str:
    """Return an object's own name, or the program's for it."""
    metadata = props.get("metadata")
    own = metadata.get("name") if isinstance(metadata, Mapping) else None
    return str(own or name)


def build_pack() -> PolicyPack:
    """Build the pack; making it serves it to the engine."""
    written = Written()
    policies: list[Policy] = [
        written.policy(),
        *map(build_policy, RULES),
        *(build_stack_policy(rule, written) for rule in STACK_RULES),
        build_exceptions(written),
    ]
    return PolicyPack(name="stampchat", enforcement_level=EnforcementLevel.MANDATORY, policies=policies)
