"""What makes a new value, what is forgiven, and what becomes of the states of other versions."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from deployer.plugins.random.drawing import hashed
from deployer.plugins.values import UNKNOWN, Secret, decode, encode
from tests.deployer.plugins.random.asking import CONTEXT, PROVIDER, create, diff, read, urn
from tests.deployer.plugins.random.programs import golden

STRING = {"result": "abc", "length": 3, "__meta": '{"schema_version":"2"}'}


ONE = {"a": "1"}
LETTERS = {"inputs": ["a", "b"]}
RANGE = {"min": 1, "max": 2}


@pytest.mark.parametrize(
    ("kind", "state", "inputs", "changed"),
    [
        ("RandomString", STRING, {"length": 3}, set()),
        ("RandomString", STRING, {"length": "3", "minUpper": 0, "numeric": True, "number": True}, set()),
        ("RandomString", STRING, {"length": 3, "number": False}, {"UPDATE_REPLACE number", "UPDATE_REPLACE numeric"}),
        ("RandomString", STRING, {"length": 4}, {"UPDATE_REPLACE length"}),
        ("RandomString", STRING | {"overrideSpecial": ""}, {"length": 3}, {"DELETE overrideSpecial"}),
        ("RandomString", STRING | {"overrideSpecial": "_"}, {"length": 3}, {"DELETE_REPLACE overrideSpecial"}),
        ("RandomString", STRING, {"length": 3, "overrideSpecial": ""}, {"ADD_REPLACE overrideSpecial"}),
        ("RandomUuid", {}, {"keepers": {}}, {"ADD keepers"}),
        ("RandomUuid", {"keepers": {}}, {}, {"DELETE keepers"}),
        ("RandomUuid", {}, {"keepers": {"a": None}}, {"ADD keepers"}),
        ("RandomUuid", {"keepers": {"b": "1"}}, {"keepers": {"a": None, "b": 1}}, {"ADD keepers.a"}),
        ("RandomUuid", {"keepers": {"a": None}}, {"keepers": ONE}, {"ADD_REPLACE keepers.a"}),
        ("RandomUuid", {"keepers": ONE}, {"keepers": {"a": None}}, {"DELETE_REPLACE keepers.a"}),
        ("RandomUuid", {"keepers": {"a b": "1"}}, {"keepers": {}}, {'DELETE_REPLACE keepers["a b"]'}),
        ("RandomUuid", {"keepers": ONE}, {}, {"DELETE_REPLACE keepers"}),
        ("RandomUuid", {"keepers": ONE}, {"keepers": {"a": UNKNOWN}}, {"UPDATE_REPLACE keepers.a"}),
        ("RandomUuid", {}, {"keepers": UNKNOWN}, {"ADD_REPLACE keepers"}),
        ("RandomUuid", {"keepers": {"a": Secret("1")}}, {"keepers": ONE}, set()),
        ("RandomBytes", {"length": 1}, {"length": 1, "keepers": {}}, {"ADD_REPLACE keepers"}),
        ("RandomInteger", RANGE, RANGE | {"seed": ""}, set()),
        ("RandomInteger", RANGE, RANGE | {"seed": "s"}, {"ADD_REPLACE seed"}),
        ("RandomId", {"byteLength": 1}, {"byteLength": 1, "prefix": ""}, {"ADD_REPLACE prefix"}),
        ("RandomPet", {"length": 2, "separator": "-"}, {"prefix": ""}, set()),
        ("RandomShuffle", LETTERS, {"inputs": ["a", "c"]}, {"UPDATE_REPLACE inputs[1]"}),
        ("RandomShuffle", LETTERS, {"inputs": ["a", "b", "c"]}, {"ADD_REPLACE inputs[2]"}),
        ("RandomShuffle", LETTERS, {"inputs": ["a"]}, {"DELETE_REPLACE inputs[1]"}),
    ],
)
def test_a_difference_makes_a_new_value_or_is_forgiven(
    kind: str, state: dict[str, Any], inputs: dict[str, Any], changed: set[str]
) -> None:
    answer = diff(kind, state, inputs)

    name_of = provider_pb2.PropertyDiff.Kind.Name
    assert {f"{name_of(found.kind)} {path}" for path, found in answer.detailedDiff.items()} == changed
    assert set(answer.replaces) == {
        line.split()[1].split(".")[0].split("[")[0] for line in changed if "REPLACE" in line
    }
    assert answer.changes == (answer.DIFF_SOME if changed else answer.DIFF_NONE)


def test_an_update_keeps_what_was_drawn() -> None:
    state = create("RandomPassword", {"length": 8, "overrideSpecial": ""}) | {"__pulumi_raw_state_delta": {"obj": {}}}
    request = provider_pb2.UpdateRequest(
        id="none", urn=urn("RandomPassword"), olds=encode(state), news=encode({"length": 8, "keepers": {}})
    )

    updated = decode(PROVIDER.Update(request, CONTEXT).properties)

    del state["overrideSpecial"], state["__pulumi_raw_state_delta"]
    assert updated == state | {"keepers": {}}


@pytest.mark.parametrize("name", golden("imports"))
def test_a_state_of_the_official_plugin_is_its_own(name: str) -> None:
    """It adds a note of its own to what the golden file has."""
    kinds = {"bytes": "RandomBytes", "got": "RandomString", "id": "RandomId", "prefixed-id": "RandomId"}
    kind = kinds.get(name, "Random" + name.rsplit("-", 1)[-1].capitalize())
    entry = golden("imports")[name]
    state = {key: value["secret"] if isinstance(value, dict) else value for key, value in entry["outputs"].items()}
    state["__pulumi_raw_state_delta"] = {"obj": {"ps": {"keepers": {"replace": {"raw": None}}}}}

    assert diff(kind, state, entry["inputs"] or {"length": 3}).changes == provider_pb2.DiffResponse.DIFF_NONE
    assert read(kind, state) == state


@pytest.mark.parametrize(
    ("kind", "earlier"),
    [
        ("RandomPassword", {"__meta": '{"schema_version":"0"}'}),
        ("RandomPassword", {"__meta": '{"schema_version":"1"}', "bcryptHash": Secret(hashed("old&secre"))}),
        (
            "RandomPassword",
            {"__meta": '{"schema_version":"2"}', "bcryptHash": Secret(hashed("another")), "numeric": False},
        ),
        ("RandomString", {}),
    ],
)
def test_a_state_of_an_earlier_version_is_brought_up_to_date(kind: str, earlier: dict[str, Any]) -> None:
    state = {"result": Secret("old&secre"), "number": False, "lower": None, "id": "none", **earlier}

    assert diff(kind, state, {"length": 9, "number": False}).changes == provider_pb2.DiffResponse.DIFF_NONE
    now = read(kind, state)

    expected = create(kind, {"length": 9, "number": False}) | {"id": "none", "result": Secret("old&secre")}
    assert now.keys() == expected.keys()
    assert {key: value for key, value in now.items() if key != "bcryptHash"} == {
        key: value for key, value in expected.items() if key != "bcryptHash"
    }
    if kind == "RandomPassword":
        assert isinstance(now["bcryptHash"], Secret)
        assert read(kind, now) == now
