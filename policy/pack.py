"""Wrap each rule as a mandatory policy: a violation stops the preview, and the update with it."""

from __future__ import annotations

from pulumi_policy import (
    EnforcementLevel,
    PolicyPack,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)

from policy.workloads import RULES, Rule


def build_policy(rule: Rule) -> ResourceValidationPolicy:
    """Build the policy of one rule."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for problem in rule.judge(args.resource_type, args.props):
            report(f"{args.name}: {problem}.")

    return ResourceValidationPolicy(name=rule.name, description=rule.description, validate=validate)


def build_pack() -> PolicyPack:
    """Build the pack; making it serves it to the engine."""
    return PolicyPack(
        name="stampchat",
        enforcement_level=EnforcementLevel.MANDATORY,
        policies=[build_policy(rule) for rule in RULES],
    )
