"""What a refresh tells of drift."""

from __future__ import annotations

from typing import Any

import pytest

from deployer.drift import DriftReader

URN = "urn:pulumi:prod::stampchat::stampchat:infra:Service$kubernetes:apps/v1:Deployment::stamp-chat-auth"


def found(op: str, *paths: str, custom: bool = True) -> dict[str, Any]:
    """Make the event that ends a resource's refresh."""
    diff = {path: {"diffKind": "update", "inputDiff": False} for path in paths}
    return {"resOutputsEvent": {"metadata": {"op": op, "urn": URN, "new": {"custom": custom}, "detailedDiff": diff}}}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (found("update", "spec.replicas"), ["update Deployment stamp-chat-auth (spec.replicas)"]),
        (found("delete"), ["delete Deployment stamp-chat-auth"]),
        (found("same"), []),
        (found("refresh"), []),
        (found("update", "spec.replicas", custom=False), []),
        (found("update", "status.readyReplicas", "metadata.generation"), []),
        (found("update", "status.x", "spec.paused"), ["update Deployment stamp-chat-auth (spec.paused, status.x)"]),
    ],
)
def test_what_is_drift_and_what_is_not(event: dict[str, Any], expected: list[str]) -> None:
    """What a controller writes about its own work is none."""
    reader = DriftReader()
    reader.read({"resourcePreEvent": {"metadata": {"op": "refresh", "urn": URN, "old": {"custom": True}}}})

    reader.read(event)

    assert [change.planned for change in reader.outcome.changes] == expected
