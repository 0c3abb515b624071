from __future__ import annotations

from typing import Any

import pytest

from deployer.events import Change, Listener, Outcome, Reader, Resource, parse_urn

URN = "urn:pulumi:dev::stampchat::stampchat:infra:Service$kubernetes:apps/v1:Deployment::stamp-chat-auth"


def step(kind: str, op: str, **more: Any) -> dict[str, Any]:
    metadata = {"op": op, "urn": URN, "new": {"custom": True}, "detailedDiff": None, **more}
    return {"timestamp": 1, kind: {"metadata": metadata}}


class Heard(Listener):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def doing(self, change: Change, running: int) -> None:
        self.lines.append(f"{change.doing} ({running})")

    def done(self, change: Change, still: list[Change]) -> None:
        self.lines.append(f"{change.done} ({len(still)})")

    def said(self, resource: Resource | None, text: str, *, lasting: bool) -> None:
        self.lines.append(f"{resource}: {text} {lasting}")


@pytest.mark.parametrize(
    ("urn", "expected"),
    [
        (URN, "Deployment stamp-chat-auth"),
        ("urn:pulumi:dev::stampchat::kubernetes:core/v1:Namespace::ns", "Namespace ns"),
        ("urn:pulumi:dev::stampchat::random:index/randomPassword:RandomPassword::a::b", "RandomPassword a::b"),
        ("nonsense", "resource nonsense"),
    ],
)
def test_a_urn_reads_as_kind_and_name(urn: str, expected: str) -> None:
    assert str(parse_urn(urn)) == expected


def test_what_happens_is_told_as_it_happens() -> None:
    heard = Heard()
    reader = Reader(heard)

    reader.read(step("resourcePreEvent", "create"))
    waiting = {"urn": URN, "message": "<{%reset%}>0 of 1 ready<{%reset%}>\n", "severity": "info", "ephemeral": True}
    reader.read({"diagnosticEvent": waiting})
    reader.read(step("resOutputsEvent", "create"))

    assert heard.lines == [
        "creating Deployment stamp-chat-auth (1)",
        "Deployment stamp-chat-auth: 0 of 1 ready False",
        "created Deployment stamp-chat-auth (0)",
    ]


def test_what_stays_as_it_is_is_not_told() -> None:
    heard = Heard()
    reader = Reader(heard)

    reader.read(step("resourcePreEvent", "same"))
    reader.read(step("resOutputsEvent", "same"))

    assert not heard.lines
    assert not reader.outcome.changes


def test_a_replacement_counts_once() -> None:
    reader = Reader()

    for op in ("create-replacement", "replace"):
        reader.read(step("resourcePreEvent", op, detailedDiff={"spec.selector": {}}))

    assert [change.planned for change in reader.outcome.changes] == [
        "replace Deployment stamp-chat-auth (spec.selector)"
    ]


def test_a_plan_names_what_differs_in_few_words() -> None:
    reader = Reader()
    paths = ["spec.args[3]", "spec.args[4]", "spec.image", "spec.a", "spec.b"]

    reader.read(step("resourcePreEvent", "update", detailedDiff={path: {} for path in paths}))

    planned = "update Deployment stamp-chat-auth (spec.a, spec.args, spec.b and 1 more)"
    assert [change.planned for change in reader.outcome.changes] == [planned]


def test_an_error_keeps_its_resource() -> None:
    reader = Reader()

    reader.read({"diagnosticEvent": {"urn": URN, "message": "image missing", "severity": "error"}})

    assert reader.outcome.errors == [(parse_urn(URN), "image missing")]


def test_policies_stop_or_warn() -> None:
    reader = Reader()
    policy = {"policyName": "limits", "message": "has no limit"}

    reader.read({"policyEvent": {**policy, "enforcementLevel": "mandatory"}})
    reader.read({"policyEvent": {**policy, "enforcementLevel": "advisory"}})
    described = {**policy, "message": f"What it asks.\n{policy['message']}", "enforcementLevel": "advisory"}
    reader.read({"policyEvent": described})

    assert reader.outcome.policies == ["limits: has no limit"]
    assert reader.outcome.warnings == ["limits: has no limit"]


@pytest.mark.parametrize(
    ("counts", "unchanged", "planned", "done"),
    [
        ({"same": 40}, True, "40 unchanged", "40 unchanged"),
        ({}, True, "nothing", "nothing"),
        ({"same": 38, "update": 2}, False, "2 to update, 38 unchanged", "2 updated, 38 unchanged"),
        ({"create": 34}, False, "34 to create", "34 created"),
        ({"same": 40, "delete": 1}, False, "1 to delete, 40 unchanged", "1 deleted, 40 unchanged"),
    ],
)
def test_counts_read_as_words(counts: dict[str, int], unchanged: bool, planned: str, done: str) -> None:  # noqa: FBT001  # a table
    outcome = Outcome(counts=counts)

    assert outcome.is_unchanged is unchanged
    assert outcome.planned == planned
    assert outcome.done == done


def test_the_engine_s_debugging_is_not_told() -> None:
    heard = Heard()

    Reader(heard).read({"diagnosticEvent": {"message": "registering", "severity": "debug"}})

    assert not heard.lines
