"""The harness itself: it has to be able to fail."""

from __future__ import annotations

import pulumi
import pulumi_random as random
import pytest

from tests.infra.recording import password, record


def test_a_false_assertion_inside_apply_fails() -> None:
    """Without awaiting outputs, or under a preview, it would pass unseen."""

    def program() -> None:
        generated = random.RandomPassword("word", length=8)

        def judge(result: str) -> None:
            assert result == "something else"

        generated.result.apply(judge)

    with pytest.raises(AssertionError, match="something else"):
        record(program, {})


def test_a_secret_is_recorded_as_secret() -> None:
    """Plain inputs and marked ones are told apart."""

    def program() -> None:
        secret = pulumi.Output.secret("hush")
        random.RandomPassword("word", length=8, keepers={"open": "said", "closed": secret})

    (word,) = record(program, {}).resources

    assert word.inputs["keepers"] == {"open": "said", "closed": "hush"}
    assert word.secrets["keepers"]["closed"] == "hush"


def test_exports_are_recorded() -> None:
    """As the engine gets them at the end of a program."""

    def program() -> None:
        pulumi.export("word", random.RandomPassword("word", length=8).result)

    assert record(program, {}).outputs == {"word": password("word")}
