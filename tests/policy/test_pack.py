"""What the pack hands to its rules, and what it says of them."""

from __future__ import annotations

from typing import Any

import pytest
from google.protobuf.struct_pb2 import Struct

from infra.builders.objects import namespace
from policy.pack import EXCEPTIONS, Pack, Shown
from policy.values import UnknownValueError, read

TYPE, URN = "kubernetes:apps/v1:Deployment", "urn:pulumi:prod::stampchat::x::auth"
# A budget's rule asks for one where an object has two pods: in the stack's state there are, in the program none.
WRITTEN: dict[str, Any] = {"metadata": {"name": "auth"}, "spec": {"selector": {}}}
GROWN: dict[str, Any] = {**WRITTEN, "spec": {"selector": {}, "replicas": 3}, "status": {}}


def shown(props: dict[str, Any], kind: str = TYPE) -> Shown:
    """Show an object as the engine does."""
    return Shown(URN, kind, "auth", lambda: props)


def rules_of(pack: Pack, props: dict[str, Any], kind: str = TYPE) -> set[str]:
    """Return which rules about all objects find something in this one."""
    return {violation.rule for violation in pack.judge_all([shown(props, kind)])}


def test_an_object_that_exists_is_judged_by_what_the_program_wrote() -> None:
    """The server fills in a count of pods, which an autoscaler then changes: neither is the program's."""
    pack = Pack()
    list(pack.judge(shown(WRITTEN)))

    assert "budgeted" not in rules_of(pack, GROWN)


def test_one_that_was_not_seen_before_is_judged_as_it_is() -> None:
    assert "budgeted" in rules_of(Pack(), GROWN)


def test_a_violation_names_the_object_and_its_rule() -> None:
    found = list(Pack().judge(shown(WRITTEN)))

    (limits,) = [
        violation for violation in found if violation.rule == "workload-identity" and "token" in violation.text
    ]
    assert limits.text == "auth: it does not say whether it wants a token for the API server."
    assert not limits.advisory


def test_what_is_excepted_is_told_and_stops_nothing() -> None:
    role = {"metadata": {"name": "gateway"}, "rules": [{"resources": ["secrets"], "verbs": ["list"]}]}
    kind = "kubernetes:rbac.authorization.k8s.io/v1:Role"
    pack = Pack()

    assert list(pack.judge(shown(role, kind))) == []
    (told,) = pack.judge_all([shown(role, kind)])
    assert told.rule == EXCEPTIONS
    assert told.advisory
    assert told.text.startswith("no-secret-access does not bind Role gateway: ")


class Unknown(dict[str, Any]):
    """Be an object of which nothing but its name is known."""

    def get(self, key: str, default: Any = None) -> Any:
        """Raise as the engine's values do."""
        if key != "metadata":
            raise UnknownValueError(key)
        return super().get(key, default)


def test_what_only_the_update_will_know_is_judged_later() -> None:
    unknown = Unknown(namespace("here"))

    assert list(Pack().judge(shown(unknown))) == []
    judged = list(Pack().judge_all([shown(unknown)]))
    assert judged
    assert all(violation.advisory and "is not known before the update" in violation.text for violation in judged)


def test_one_rule_that_cannot_judge_yet_holds_no_other() -> None:
    unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
    pod = {"containers": [{"name": "c", "livenessProbe": unknown}]}
    struct = Struct()
    struct.update({"metadata": {"name": "auth"}, "spec": {"template": {"spec": pod}}})

    found = {violation.rule for violation in Pack().judge(Shown(URN, TYPE, "auth", lambda: read(struct)))}

    assert "workload-probes" not in found
    assert {"workload-limits", "image-by-digest"} <= found


@pytest.mark.parametrize("kind", ["pulumi:pulumi:Stack", "random:index/randomPassword:RandomPassword"])
def test_what_is_no_kubernetes_object_breaks_no_rule(kind: str) -> None:
    assert list(Pack().judge(shown({}, kind))) == []
    assert rules_of(Pack(), {}, kind) == set()
