"""One stack with resources of every kind, from the first `up` to `destroy`: a run of the engine takes seconds."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import bcrypt
import pulumi_random
import pytest

from deployer.plugins.random.kinds import KINDS
from tests.deployer.plugins.engine_project import EngineProject
from tests.deployer.plugins.random.programs import LIFE, SIGNATURE, differences, golden, plain

State = dict[str, dict[str, Any]]
REPLACED = {"password", "bare-id", "seeded-integer", "uuid", "seeded-shuffle", "follower", "as-long"}
# What the official plugin forgives: "" that becomes nothing, keepers without a value that come or go.
UPDATED = {"rewritten", "uuid4", "uuid7"}


@dataclass(frozen=True)
class Life:
    """What the engine said and kept at each step."""

    created: State
    kept: str
    said_unchanged: str
    said_outputs: str
    said_changed: str
    changed: State
    left: State


@pytest.fixture(scope="module")
def life(stack: EngineProject) -> Life:
    """Live through it once; a preview with changes, or a refresh with some, would fail here."""
    stack.write(LIFE)
    stack.up()
    created = stack.resources("--show-secrets")
    kept = stack.state_text()
    said_outputs = stack.run("stack", "output").stdout
    # A default that is written out is no change either.
    said_unchanged = stack.run("preview", "--diff", "--config", "trial:special=true", "--expect-no-changes").stdout
    stack.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    said_changed = stack.run("up", "--yes", "--diff", "--config", "trial:turn=2").stdout
    changed = stack.resources("--show-secrets")
    stack.run("destroy", "--yes", "--skip-preview")
    return Life(created, kept, said_unchanged, said_outputs, said_changed, changed, stack.resources())


def test_the_program_says_every_kind_of_the_sdk() -> None:
    kinds = {name for name in dir(pulumi_random) if name.startswith("Random") and not name.endswith("Args")}

    assert kinds == {said.split("(")[0] for said in LIFE.split("random.") if said.startswith("Random")}
    assert kinds == {token.rsplit(":", 1)[1] for token in KINDS}


@pytest.mark.parametrize("name", golden("life"))
def test_the_state_has_the_official_plugins_shape(life: Life, name: str) -> None:
    expected, actual = golden("life")[name], life.created[name]

    assert differences(expected["id"], actual["id"]) == []
    assert differences(expected["inputs"], actual.get("inputs", {})) == []
    assert differences(expected["outputs"], actual["outputs"]) == []


def test_a_password_and_what_is_made_of_a_secret_are_nowhere_in_clear(life: Life) -> None:
    secrets = [plain(life.created[name]["outputs"][key]) for name, key in (
        ("password", "result"),
        ("password", "bcryptHash"),
        ("long", "result"),
        ("bytes", "hex"),
        ("hidden-id", "b64Url"),
    )]  # fmt: skip

    for text in (life.kept, life.said_unchanged, life.said_outputs, life.said_changed):
        assert [secret for secret in secrets if secret in text or json.dumps(secret)[1:-1] in text] == []
    assert life.kept.count(SIGNATURE["4dabf18193072939515e22adb298388d"]) >= 15


def test_a_passwords_hash_is_of_it(life: Life) -> None:
    for name in ("password", "pin", "long"):
        outputs = plain(life.created[name]["outputs"])
        assert bcrypt.checkpw(outputs["result"].encode()[:72], outputs["bcryptHash"].encode()), name


def test_spellings_agree(life: Life) -> None:
    outputs = life.created["bare-id"]["outputs"]

    assert int(outputs["hex"], 16) == int(outputs["dec"])
    assert outputs["b64Std"].replace("+", "-").replace("/", "_") == outputs["b64Url"]


def test_a_shuffle_loses_nothing(life: Life) -> None:
    assert sorted(life.created["shuffle"]["outputs"]["results"]) == ["a", "b", "c", "d", "e"]


def test_only_what_changed_is_drawn_anew(life: Life) -> None:
    names = golden("life").keys()

    assert set(life.changed) == set(life.created)
    assert {name for name in names if life.created[name]["created"] != life.changed[name]["created"]} == REPLACED
    for name in names - REPLACED:
        before, after = (plain(state[name]["outputs"]) for state in (life.created, life.changed))
        assert {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)} <= (
            {"keepers", "overrideSpecial"} if name in UPDATED else set()
        ), name


def test_what_is_forgiven_is_written_down(life: Life) -> None:
    assert life.changed["uuid7"]["outputs"]["keepers"] == {"none": None}
    assert "keepers" not in life.changed["uuid4"]["outputs"]
    assert "overrideSpecial" not in life.changed["rewritten"]["outputs"]


def test_a_seed_gives_what_gos_generator_gives(life: Life) -> None:
    """Go's `math/rand` said these, from the checksum of the seed as the official plugin makes it."""
    assert life.created["seeded-integer"]["outputs"]["result"] == 22644
    assert life.changed["seeded-integer"]["outputs"]["result"] == 30899
    assert "".join(life.created["seeded-shuffle"]["outputs"]["results"]) == "acbedaedcbab"
    assert "".join(life.changed["seeded-shuffle"]["outputs"]["results"]) == "acb"


@pytest.mark.parametrize(
    "said",
    [
        '~ turn: "1" => "2"',
        '~ seed: "12345" => "123456"',
        "~ resultCount: 12 => 3",
        "~ length : 5 => [unknown]",
        "+-7 to replace",
        "~ 3 to update",
    ],
)
def test_the_preview_tells_what_will_happen(life: Life, said: str) -> None:
    assert said in life.said_changed


def test_destroy_takes_all_of_it_away(life: Life) -> None:
    assert life.left == {}
