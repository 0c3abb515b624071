from __future__ import annotations

import re
import time
import uuid
from typing import Any

import pytest
from petname import english

from deployer.plugins.random import adopting, characters, drawing
from deployer.plugins.random.kinds import KINDS, settled


def draw(kind: str, **inputs: Any) -> drawing.Drawn:
    """Draw from inputs as a program gives them."""
    known = KINDS[f"random:index/r{kind[1:]}:{kind}"]
    return known.draw(settled(known, inputs))


@pytest.mark.parametrize(
    ("inputs", "pattern"),
    [
        ({"length": 40}, r"[\w!@#$%&*()\-=+\[\]{}<>:?]{40}"),
        ({"length": 40, "special": False}, r"[a-zA-Z0-9]{40}"),
        ({"length": 40, "special": False, "numeric": False, "upper": False}, r"[a-z]{40}"),
        ({"length": 40, "number": False, "special": False}, r"[a-zA-Z]{40}"),
        ({"length": 40, "lower": False, "upper": False, "numeric": False, "overrideSpecial": "~^"}, r"[~^]{40}"),
        (
            {"length": 40, "lower": False, "upper": False, "numeric": False, "overrideSpecial": ""},
            r"[^~\w]*(_[^~\w]*)*",
        ),
        ({"length": 4, "minUpper": 4}, r"[A-Z]{4}"),
        # A minimum is kept even for a class that is not allowed beyond it, as by the official plugin.
        ({"length": 6, "minUpper": 2, "upper": False, "special": False}, r"(?=([^A-Z]*[A-Z]){2}[^A-Z]*$)\w{6}"),
        ({"length": 5, "minNumeric": 2, "minSpecial": 3, "overrideSpecial": "~"}, r"(?=(?:\D*\d){2})[0-9~]{5}"),
        ({"length": 5, "special": True, "minSpecial": 5, "overrideSpecial": "é☂"}, r"[é☂]{5}"),
    ],
)
def test_a_string_keeps_its_rules(inputs: dict[str, Any], pattern: str) -> None:
    for _ in range(30):
        assert re.fullmatch(pattern, draw("RandomString", **inputs).id)


def test_two_draws_differ_and_use_every_allowed_character() -> None:
    drawn = [draw("RandomString", length=64).id for _ in range(60)]

    assert len(set(drawn)) == 60
    assert len(set("".join(drawn))) == 26 + 26 + 10 + len(characters.SPECIAL)


def test_an_integer_takes_both_ends_of_its_range() -> None:
    drawn = {draw("RandomInteger", min=-1, max=1).results["result"] for _ in range(200)}

    assert drawn == {-1, 0, 1}


@pytest.mark.parametrize(("seed", "expected"), [("12345", 3), ("123456", 2)])
def test_a_seeded_integer_is_the_one_that_the_official_plugins_tests_expect(seed: str, expected: int) -> None:
    assert draw("RandomInteger", min=1, max=3, seed=seed).results["result"] == expected


def test_a_seeded_integer_reaches_to_the_ends_of_64_bits() -> None:
    drawn = draw("RandomInteger", min=7227701560655103597, max=7227701560655103598, seed="12345")

    assert drawn.id == "7227701560655103598"


@pytest.mark.parametrize(
    ("length", "before"),
    [
        # As the official plugin's library has it, no words and fewer are two.
        (-1, [english.adjectives]),
        (0, [english.adjectives]),
        (1, []),
        (2, [english.adjectives]),
        (4, [english.adverbs, english.adverbs, english.adjectives]),
    ],
)
def test_a_pet_is_adverbs_an_adjective_and_a_name(length: int, before: list[list[str]]) -> None:
    words = draw("RandomPet", length=length).id.split("-")

    assert len(words) == len(before) + 1
    assert all(word in known for word, known in zip(words, [*before, english.names], strict=True))


@pytest.mark.parametrize(
    ("inputs", "pattern"),
    [
        (
            {"prefix": "Big", "separator": "X"},
            "BigX[a-z]+x[a-z]+",
        ),  # only the words are made lower case, and what parts them
        ({"prefix": "", "separator": "_"}, "[a-z]+_[a-z]+"),
        ({"separator": "", "length": 1}, "[a-z]+"),
    ],
)
def test_a_pet_has_its_prefix(inputs: dict[str, Any], pattern: str) -> None:
    assert re.fullmatch(pattern, draw("RandomPet", **inputs).id)


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        ({}, "acbed"),  # the official plugin's tests expect these
        ({"resultCount": 3}, "acb"),
        ({"resultCount": 12}, "acbedaedcbab"),
        ({"resultCount": 0}, ""),
    ],
)
def test_a_seeded_shuffle_is_the_one_that_the_official_plugins_tests_expect(
    inputs: dict[str, Any], expected: str
) -> None:
    assert draw("RandomShuffle", inputs=list("abcde"), seed="-", **inputs).results["results"] == list(expected)


def test_a_shuffle_of_nothing_is_nothing() -> None:
    assert draw("RandomShuffle", inputs=[], resultCount=12).results == {"results": [], "id": "-"}


def test_a_shuffle_repeats_no_input_before_all_were_drawn() -> None:
    results = draw("RandomShuffle", inputs=list("abc"), resultCount=8).results["results"]

    assert [sorted(results[:3]), sorted(results[3:6]), len(results)] == [list("abc"), list("abc"), 8]


def test_uuids_have_their_versions() -> None:
    four, seven = (uuid.UUID(draw(kind).id) for kind in ("RandomUuid4", "RandomUuid7"))

    assert (four.version, four.variant) == (4, uuid.RFC_4122)
    assert (seven.version, seven.variant) == (7, uuid.RFC_4122)


def test_a_uuid_of_version_7_begins_with_its_time() -> None:
    before = time.time_ns() // 1_000_000
    drawn = uuid.UUID(draw("RandomUuid7").id)
    after = time.time_ns() // 1_000_000

    assert before <= drawn.int >> 80 <= after


def test_an_id_may_be_longer_than_python_prints_numbers() -> None:
    results = draw("RandomId", byteLength=2000).results

    assert len(results["dec"]) > 4300
    assert results["dec"].isdecimal()


@pytest.mark.parametrize(
    ("adopt", "identity", "form"),
    [
        (adopting.integer, "4", "result,min,max"),
        (adopting.integer, "4,1,6,seed,more", "result,min,max"),
        (adopting.integer, "4,1,six", "whole numbers"),
        (adopting.integer, " 4,1,6", "whole numbers"),
        (adopting.identifier, "MTI=", "without the padding"),
        (adopting.identifier, "prefix,", "prefix,b64Url"),
        (adopting.identifier, "a+b/", "b64Url"),
        (adopting.identifier, "MTIza", "b64Url"),
        (adopting.octets, "MTI", "with its padding"),
        (adopting.octets, "no base64", "base64"),
        (adopting.plain_uuid, "aabbccddeeff00112233445566778899", "a UUID"),
        (adopting.any_uuid, "aabbccdd", "a UUID"),
        (adopting.any_uuid, "{7e4436da7c71486ea57c830b25fff7bd}", "a UUID"),
    ],
)
def test_an_id_of_another_form_is_refused_with_the_form(adopt: Any, identity: str, form: str) -> None:
    with pytest.raises(ValueError, match=form):
        adopt(identity)


@pytest.mark.parametrize(
    ("adopt", "identity", "inputs", "adopted"),
    [
        (adopting.identifier, "a,b,p-9hUg", {"byteLength": 4, "prefix": "a,b"}, "p-9hUg"),
        (adopting.integer, "+4,-1,6", {"min": -1, "max": 6}, "+4"),
        (adopting.integer, "4,1,6,", {"min": 1, "max": 6}, "4"),
        (adopting.any_uuid, "7E4436DA7C71486EA57C830B25FFF7BD", {}, "7e4436da-7c71-486e-a57c-830b25fff7bd"),
    ],
)
def test_further_forms_of_an_id_are_read(adopt: Any, identity: str, inputs: dict[str, Any], adopted: str) -> None:
    assert adopt(identity)[0] == inputs
    assert adopt(identity)[1].id == adopted


def test_a_passwords_length_is_in_bytes_where_it_is_imported() -> None:
    assert adopting.password("é☂")[0]["length"] == 5
