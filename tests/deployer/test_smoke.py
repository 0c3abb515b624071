"""The whole journey is played in the end-to-end test; here, how it is told when something does not hold."""

from __future__ import annotations

import socket

import pytest

from deployer.errors import DeployError
from deployer.rest import Answer
from deployer.smoke import Result, smoke


def test_the_first_check_that_fails_ends_the_journey_and_is_told() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        told: list[Result] = []

        with pytest.raises(DeployError, match="The smoke test failed: Ada logs in"):
            smoke(f"http://127.0.0.1:{nobody.getsockname()[1]}", told.append)

    assert [(result.name, result.passed) for result in told] == [("Ada logs in", False)]
    assert "refused" in told[0].said


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(500, "oh no"), "answered 500 oh no, not 200"),
        (Answer(200, "<html>"), "Expecting value"),
    ],
)
def test_an_answer_that_is_not_as_promised_is_quoted(answer: Answer, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        answer.expect(200)
