"""What the pack hands to its rules."""

from __future__ import annotations

from typing import Any

from pulumi_policy import PolicyResource, StackValidationArgs

from policy.pack import things_of

WRITTEN = {"metadata": {"name": "auth"}, "spec": {"selector": {}}}


def of_the_stack(props: dict[str, Any]) -> StackValidationArgs:
    """Show one object as the engine does."""
    resource = PolicyResource(
        "kubernetes:apps/v1:Deployment", props, "urn:pulumi:prod::stampchat::x::auth", "auth", None, None, None, [], {}
    )
    return StackValidationArgs([resource], {}, {})


def test_an_object_that_exists_is_judged_by_what_the_program_wrote() -> None:
    """The server fills in a count of pods, which an autoscaler then changes: neither is the program's."""
    lives = {**WRITTEN, "spec": {"selector": {}, "replicas": 3}, "status": {}, "__inputs": WRITTEN}

    (thing,) = things_of(of_the_stack(lives))

    assert thing.name == "auth"
    assert thing.props == WRITTEN


def test_one_that_is_yet_to_be_made_is_judged_as_it_is() -> None:
    (thing,) = things_of(of_the_stack(WRITTEN))

    assert thing.props == WRITTEN
