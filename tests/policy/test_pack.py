"""What the pack hands to its rules."""

from __future__ import annotations

from typing import Any

from pulumi_policy import PolicyResource, ResourceValidationArgs, StackValidationArgs

from policy.pack import Written

TYPE, URN = "kubernetes:apps/v1:Deployment", "urn:pulumi:prod::stampchat::x::auth"
WRITTEN = {"metadata": {"name": "auth"}, "spec": {"selector": {}}}


def of_the_stack(props: dict[str, Any]) -> StackValidationArgs:
    """Show one object as the engine does to what judges a stack."""
    return StackValidationArgs([PolicyResource(TYPE, props, URN, "auth", None, None, None, [], {})])


def test_an_object_that_exists_is_judged_by_what_the_program_wrote() -> None:
    """The server fills in a count of pods, which an autoscaler then changes: neither is the program's."""
    written = Written()
    written.policy().validate(ResourceValidationArgs(TYPE, WRITTEN, URN, "auth", None, None), lambda *_: None)

    (thing,) = written.things(of_the_stack({**WRITTEN, "spec": {"selector": {}, "replicas": 3}, "status": {}}))

    assert thing.name == "auth"
    assert thing.props == WRITTEN


def test_one_that_was_not_seen_before_is_judged_as_it_is() -> None:
    (thing,) = Written().things(of_the_stack(WRITTEN))

    assert thing.props == WRITTEN
