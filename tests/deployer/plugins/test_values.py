from __future__ import annotations

from typing import Any

import pytest

from deployer.plugins.values import UNKNOWN, Secret, decode, encode, has_secret, has_unknown, mark_like, reveal


def test_properties_survive_the_wire_and_whole_numbers_stay_whole() -> None:
    properties: dict[str, Any] = {
        "text": "a",
        "whole": 3,
        "broken": 1.5,
        "yes": True,
        "nothing": None,
        "list": [1, {"deep": Secret({"password": "p"})}, []],
        "map": {"a.b/c": UNKNOWN},
    }

    again = decode(encode(properties))

    assert again == properties
    assert [type(again[key]) for key in ("whole", "broken", "yes")] == [int, float, bool]


def test_a_secret_in_a_secret_is_one_secret() -> None:
    assert decode(encode({"a": Secret(Secret("x"))})) == {"a": Secret("x")}


def test_a_secret_does_not_show_in_its_repr() -> None:
    assert "hidden" not in repr({"a": Secret("hidden")})


def test_what_has_no_place_in_a_property_map_is_refused() -> None:
    with pytest.raises(TypeError, match="cannot be a object"):
        encode({"a": object()})


def test_secrets_and_unknowns_are_found_at_any_depth() -> None:
    hidden = {"a": [{"b": Secret({"c": [UNKNOWN]})}]}

    assert (has_secret(hidden), has_unknown(hidden)) == (True, True)
    assert reveal(hidden) == {"a": [{"b": {"c": [UNKNOWN]}}]}
    assert (has_secret(reveal(hidden)), has_unknown({"a": "b"})) == (False, False)


@pytest.mark.parametrize(
    ("like", "marked"),
    [
        ({"data": Secret({})}, {"data": Secret({"k": "v"}), "list": [1, 2]}),
        ({"data": {"k": Secret("old")}}, {"data": {"k": Secret("v")}, "list": [1, 2]}),
        ({"list": [0, Secret(0), Secret(0)]}, {"data": {"k": "v"}, "list": [1, Secret(2)]}),
        ({"other": Secret(1)}, {"data": {"k": "v"}, "list": [1, 2]}),
    ],
)
def test_secrecy_is_copied_to_the_same_places(like: Any, marked: Any) -> None:
    assert mark_like({"data": {"k": "v"}, "list": [1, 2]}, like) == marked
