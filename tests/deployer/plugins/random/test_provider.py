"""What the plugin refuses, and what it calls a secret."""

from __future__ import annotations

from typing import Any

import pytest
from pulumi.runtime.proto import provider_pb2

from deployer.errors import UsageError
from deployer.plugins.random.kinds import KINDS
from deployer.plugins.values import UNKNOWN, Secret, encode, reveal
from tests.deployer.plugins.random.asking import CONTEXT, PROVIDER, check, create, token, urn

NONE_ALLOWED = {"lower": False, "upper": False, "numeric": False, "special": False}


@pytest.mark.parametrize(
    ("kind", "inputs", "reasons"),
    [
        ("RandomPassword", {}, {"length": "it is required"}),
        ("RandomPassword", {"length": 0}, {"length": "it must be at least 1, got 0"}),
        ("RandomString", {"length": 3, "minLower": 4}, {"length": "the sum of the minimums, 4, got 3"}),
        ("RandomString", {"length": 3, "minLower": -1}, {"minLower": "it must be at least 0, got -1"}),
        ("RandomString", {"length": 3, **NONE_ALLOWED}, {"special": "one of `lower`, .* must be true"}),
        ("RandomString", {"length": 3, "number": True, "numeric": False}, {"number": "the older name of `numeric`"}),
        ("RandomString", {"length": 3, "number": "no"}, {"number": "it must be true or false"}),
        ("RandomString", {"length": 1.5, "upper": 1}, {"length": "a whole number", "upper": "true or false"}),
        ("RandomString", {"length": True}, {"length": "it must be a whole number"}),
        ("RandomString", {"length": ""}, {"length": "it is required"}),
        ("RandomBytes", {"length": -2}, {"length": "it must be at least 1, got -2"}),
        ("RandomId", {"byteLength": 0}, {"byteLength": "it must be at least 1, got 0"}),
        ("RandomInteger", {"min": 3, "max": 2}, {"min": "it must not be above `max`, 2, got 3"}),
        ("RandomInteger", {"min": -(2**62), "max": 2.0**62}, {"max": r"fewer than 2\^63 numbers"}),
        ("RandomInteger", {"min": 0, "max": 1e30}, {"max": "it must be a whole number"}),
        ("RandomInteger", {"min": 3}, {"max": "it is required"}),
        ("RandomShuffle", {"inputs": "ab"}, {"inputs": "it must be a list of strings"}),
        ("RandomShuffle", {"inputs": ["a", None]}, {"inputs": "it must be a list of strings"}),
        ("RandomShuffle", {"inputs": ["a"], "resultCount": -1}, {"resultCount": "it must be at least 0, got -1"}),
        ("RandomUuid", {"keepers": ["a"]}, {"keepers": "it must be a map of strings"}),
        ("RandomPet", {"prefix": ["a"]}, {"prefix": "it must be a string"}),
    ],
)
def test_what_cannot_be_drawn_is_refused(kind: str, inputs: dict[str, Any], reasons: dict[str, str]) -> None:
    said = check(kind, inputs)

    assert said.keys() == reasons.keys()
    for name, reason in reasons.items():
        assert pytest.raises(ValueError, match=reason).matches(ValueError(said[name])), said[name]


@pytest.mark.parametrize(
    ("kind", "inputs"),
    [
        ("RandomPassword", {"length": "12", "minLower": 2.0}),
        ("RandomPassword", {"length": UNKNOWN, "minLower": 99}),
        ("RandomPassword", {"length": 1, **NONE_ALLOWED, "upper": UNKNOWN}),
        ("RandomPassword", {"length": 2, "number": UNKNOWN, "numeric": True}),
        ("RandomInteger", {"min": 3, "max": UNKNOWN}),
        ("RandomInteger", {"min": -(2**53), "max": 2**53, "seed": 12}),
        ("RandomShuffle", {"inputs": ["a", UNKNOWN]}),
        ("RandomShuffle", {"inputs": []}),
        ("RandomPet", {"length": 0, "keepers": {"a": 1, "b": True, "c": None}}),
    ],
)
def test_what_can_be_drawn_or_is_not_known_yet_is_taken(kind: str, inputs: dict[str, Any]) -> None:
    assert check(kind, inputs) == {}


def test_what_is_known_is_judged_before_the_rest_is() -> None:
    assert check("RandomInteger", {"min": 3, "max": 2, "keepers": {"a": UNKNOWN}}) == {
        "min": "it must not be above `max`, 2, got 3"
    }


def test_a_refusal_shows_no_number_that_is_secret() -> None:
    assert check("RandomPassword", {"length": Secret(-4711)}) == {"length": "it must be at least 1"}


@pytest.mark.parametrize("preview", [True, False])
@pytest.mark.parametrize(
    ("kind", "inputs", "secret"),
    [
        ("RandomPassword", {"length": 5}, {"result", "bcryptHash"}),
        ("RandomBytes", {"length": 5}, {"base64", "hex"}),
        ("RandomString", {"length": 5}, set()),
        ("RandomString", {"length": 5, "keepers": {"a": Secret("b")}}, set()),
        ("RandomString", {"length": Secret(5)}, {"length", "result"}),
        ("RandomInteger", {"min": 1, "max": 2, "seed": Secret("s")}, {"seed", "result"}),
        ("RandomPet", {"prefix": Secret("p")}, {"prefix"}),
    ],
)
def test_secret_is_what_always_is_and_what_a_secret_made(
    kind: str, inputs: dict[str, Any], secret: set[str], *, preview: bool
) -> None:
    outputs = create(kind, inputs, preview=preview)

    assert {name for name, value in outputs.items() if isinstance(value, Secret)} == secret
    results = {name: value for name, value in reveal(outputs).items() if name in KINDS[token(kind)].results}
    assert all((value == UNKNOWN) is preview for value in results.values())


def test_a_kind_that_the_package_does_not_have_is_named() -> None:
    request = provider_pb2.CheckRequest(urn=urn("RandomNumber"), news=encode({}))

    with pytest.raises(UsageError, match="has no resource random:index/randomNumber:RandomNumber"):
        PROVIDER.Check(request, CONTEXT)


def test_an_import_that_cannot_be_read_says_the_form_and_not_the_id() -> None:
    request = provider_pb2.ReadRequest(id="sec?ret", urn=urn("RandomBytes"))

    with pytest.raises(UsageError, match="cannot be imported as RandomBytes: it must be the value in base64") as caught:
        PROVIDER.Read(request, CONTEXT)
    assert "sec?ret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["RandomPet", "RandomShuffle"])
def test_what_the_official_plugin_does_not_import_either_says_so(kind: str) -> None:
    request = provider_pb2.ReadRequest(id="clever-owl", urn=urn(kind))

    with pytest.raises(UsageError, match=f"A {kind} cannot be imported: its id does not tell its inputs"):
        PROVIDER.Read(request, CONTEXT)
