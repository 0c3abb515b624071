"""What a stack says about the original's tokens: what becomes of it, and what is refused."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest

from deployer.secrets.catalogue import GIVEN, LEGACY
from infra.config import ConfigError, legacy_secret_problem, validate_stack
from infra.legacy_tokens import LEAST_BYTES, MOST_AHEAD_SECONDS
from policy.exceptions import find_exception
from policy.pack import RULES, object_name
from policy.relations import STACK_RULES
from policy.rule import Thing
from services import legacy_tokens as service
from services.settings import Secret
from stacks.program import deploy
from stacks.render import render
from tests.infra.configs import DEV, IMAGES, PROD
from tests.infra.recording import record

SECRET = base64.b64encode(b"8Jk0mPq2sV5yB8eH1kN4qT7wZ0cF3iL6oR9u\n").decode()


def moment(seconds: float) -> str:
    """Write a moment from now as the stack's file has it."""
    return datetime.fromtimestamp(time.time() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moving(seconds: float = 6 * 3600, secret: object = SECRET) -> dict[str, object]:
    """Set both keys."""
    return {"stampchat:legacyTokenSecret": secret, "stampchat:legacyTokensUntil": moment(seconds)}


def write_images(root: Path) -> None:
    """Stand in for a checkout whose images are built."""
    (root / ".stampchat").mkdir()
    (root / ".stampchat" / "images.json").write_text(json.dumps(IMAGES))


def problems(values: Mapping[str, object]) -> str:
    """Say what is wrong with a stack."""
    with pytest.raises(ConfigError) as refused:
        validate_stack(values)
    return str(refused.value)


@pytest.mark.parametrize("base", [DEV, PROD], ids=["dev", "prod"])
def test_each_service_is_handed_the_secret_as_a_file_and_the_moment(base: dict[str, str], tmp_path: Path) -> None:
    """It stands in no variable, is secret for the engine, and rolls the pods when it changes."""
    write_images(tmp_path)
    values = {key: str(value) for key, value in {**base, **moving()}.items()}

    recording = record(lambda: deploy(tmp_path), values, stack="any")

    for name in ("auth", "channels", "notifications"):
        pod = recording.object("Deployment", f"stamp-chat-{name}")["spec"]["template"]
        assert "checksum.stampchat/legacy-token-secret" in pod["metadata"]["annotations"]
        for container in [*pod["spec"]["containers"], *pod["spec"]["initContainers"]]:
            env = {entry["name"]: entry["value"] for entry in container["env"]}
            assert env["STAMPCHAT_LEGACY_UNTIL"] == values["stampchat:legacyTokensUntil"]
            assert env["STAMPCHAT_LEGACY_TOKEN_SECRET_FILE"] == "/run/stampchat/legacy/legacy_token_secret"
    shown = [r for r in recording.resources if SECRET in str(r.inputs)]
    kept = [r for r in recording.resources if SECRET in str(r.secrets)]
    assert [r.name for r in shown] == [r.name for r in kept]


def test_no_rule_of_ours_forbids_it(tmp_path: Path) -> None:
    """A name in the environment that looks like a secret's would stop every `up`."""
    write_images(tmp_path)
    values = {key: str(value) for key, value in {**PROD, **moving()}.items()}
    recording = record(lambda: deploy(tmp_path), values, stack="any")
    things = [Thing(r.type, object_name(r.name, r.inputs), r.inputs) for r in recording.objects()]

    found = [
        (rule.name, thing, what) for rule in RULES for thing in things for what in rule.judge(thing.type, thing.props)
    ]
    found += [(rule.name, thing, what) for rule in STACK_RULES for thing, what in rule.judge(things)]

    assert not [(rule, what) for rule, thing, what in found if find_exception(rule, thing.kind, thing.name) is None]


def test_a_moment_that_is_past_takes_the_secret_away_again() -> None:
    """The next `up` does, even where nobody has taken the keys out of the file."""
    assert validate_stack({**DEV, **moving(-1)}).legacy_tokens is None


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        (moving(MOST_AHEAD_SECONDS + 86400), "more than 24 hours ahead"),
        ({**moving(), "stampchat:legacyTokensUntil": "tomorrow"}, "not a moment such as"),
        ({**moving(), "stampchat:legacyTokensUntil": datetime.now(UTC)}, "is not a word"),
        ({"stampchat:legacyTokenSecret": SECRET}, "legacyTokensUntil is not set"),
        ({"stampchat:legacyTokensUntil": moment(6 * 3600)}, "legacyTokenSecret is not set"),
        (moving(secret="short, and no base64"), "is not the base64 of a secret"),
        (moving(secret=base64.b64encode(b"abc123abc1232").decode()), "found by trying"),
    ],
)
def test_what_would_open_a_door_is_refused_before_anything_changes(values: dict[str, object], problem: str) -> None:
    """In the one report of all that is wrong."""
    said = problems({**DEV, **values})

    assert problem in said
    assert SECRET not in said


def test_a_secret_that_is_still_encrypted_passes() -> None:
    """The stack's file is judged before the engine opens it."""
    config = validate_stack({**DEV, **moving(secret={"secure": "v1:abc:def"})})

    assert config.legacy_tokens is not None


def test_what_is_rendered_has_a_placeholder_for_it(tmp_path: Path) -> None:
    """Encrypted as it stands in the stack's file, or not."""
    write_images(tmp_path)
    for secret in (SECRET, {"secure": "v1:abc:def"}):
        made = [item["manifest"] for item in render("dev", {**DEV, **moving(secret=secret)}, tmp_path)]

        (found,) = [one for one in made if one["metadata"]["name"] == "legacy-token-secret"]
        assert found["stringData"] == {"legacy_token_secret": "<legacy-token-secret legacy_token_secret>"}
        assert SECRET not in str(made)


def test_the_command_line_knows_it_and_asks_for_it_only_while_moving() -> None:
    """`secrets init` of a new deployment does not."""
    assert LEGACY in GIVEN
    assert not LEGACY.is_needed({})
    assert LEGACY.is_needed({"stampchat:legacyTokensUntil": moment(60)})
    assert LEGACY.problems(SECRET) == []
    assert LEGACY.problems("x")


@pytest.mark.parametrize(
    "secret", [SECRET, "x", "YWJj", base64.b64encode(b"-----BEGIN PUBLIC KEY-----\n" * 3).decode()]
)
def test_program_and_service_judge_alike(secret: str) -> None:
    """What the one lets through must not stop the other from starting."""
    assert bool(legacy_secret_problem(secret)) is bool(service.secret_problem(Secret(secret)))
    assert (LEAST_BYTES, MOST_AHEAD_SECONDS) == (service.LEAST_BYTES, service.MOST_AHEAD_SECONDS)
