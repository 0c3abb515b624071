from __future__ import annotations

import base64
import json
import re
from typing import Any

import bcrypt
import pytest

from deployer.plugins.random import characters
from deployer.plugins.random.kinds import KINDS
from deployer.plugins.random.provider import _outputs
from deployer.plugins.values import Secret
from tests.deployer.plugins.engine_project import EngineProject

PROGRAM = """
import pulumi
import pulumi_random as random

config = pulumi.Config()
password = random.RandomPassword(
    "password", length=24, special=config.get_bool("special"), keepers={"round": config.get("round") or "1"}
)
random.RandomString("string", length=12, special=False, min_upper=2, override_special="_")
random.RandomBytes("bytes", length=16)
random.RandomId("id", byte_length=4, prefix="pre-")
random.RandomInteger("integer", min=5, max=7)
random.RandomUuid("uuid")
pulumi.export("password", password.result)
"""
SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
CLASSES = {
    "lower": True,
    "upper": True,
    "numeric": True,
    "number": True,
    "minLower": 0,
    "minUpper": 0,
    "minNumeric": 0,
    "minSpecial": 0,
}
# What the official plugin leaves in state: patterns stand for what is drawn, SECRET for what must be encrypted.
SHAPES: dict[str, tuple[str, dict[str, Any]]] = {
    "password": (
        "none",
        {
            **CLASSES,
            "__meta": '{"schema_version":"3"}',
            "id": "none",
            "keepers": {"round": "1"},
            "length": 24,
            "special": True,
            "result": SECRET,
            "bcryptHash": SECRET,
        },
    ),
    "string": (
        r"[A-Za-z0-9]{12}",
        {
            **CLASSES,
            "__meta": '{"schema_version":"2"}',
            "id": r"[A-Za-z0-9]{12}",
            "length": 12,
            "minUpper": 2,
            "overrideSpecial": "_",
            "special": False,
            "result": r"[A-Za-z0-9]{12}",
        },
    ),
    "bytes": (r"[A-Za-z0-9+/]{22}==", {"length": 16, "base64": SECRET, "hex": SECRET}),
    "id": (
        r"[A-Za-z0-9_-]{6}",
        {
            "byteLength": 4,
            "prefix": "pre-",
            "id": r"[A-Za-z0-9_-]{6}",
            "b64Url": r"pre-[A-Za-z0-9_-]{6}",
            "b64Std": r"pre-[A-Za-z0-9+/]{6}==",
            "hex": r"pre-[0-9a-f]{8}",
            "dec": r"pre-[0-9]{1,10}",
        },
    ),
    "integer": ("[567]", {"min": 5, "max": 7, "id": "[567]", "result": r"[567]"}),
    "uuid": (r"[0-9a-f-]{36}", {"id": r"[0-9a-f-]{36}", "result": r"[0-9a-f-]{36}"}),
}


@pytest.fixture
def deployed(project: EngineProject) -> EngineProject:
    """A stack with one resource of each kind."""
    project.write(PROGRAM)
    project.up()
    return project


def matches(expected: Any, actual: Any) -> bool:
    """Compare a property with its pattern."""
    if expected is SECRET:
        return SECRET.items() <= actual.items() and set(actual) == {*SECRET, "ciphertext"}
    if isinstance(expected, str) and not isinstance(actual, bool):
        return expected == actual or re.fullmatch(expected, str(actual)) is not None
    return bool(expected == actual and type(expected) is type(actual))


def test_state_has_the_official_plugins_shape(deployed: EngineProject) -> None:
    resources = deployed.resources()

    for name, (identity, outputs) in SHAPES.items():
        actual = resources[name]["outputs"]
        assert re.fullmatch(identity, resources[name]["id"]), name
        assert set(outputs) == set(actual), name
        assert [key for key in outputs if not matches(outputs[key], actual[key])] == [], name
    assert resources["password"]["inputs"] == {"length": 24, "keepers": {"round": "1"}}


def test_a_password_is_nowhere_in_clear_and_its_hash_is_of_it(deployed: EngineProject) -> None:
    shown = deployed.resources("--show-secrets")["password"]["outputs"]
    password, digest = (json.loads(shown[key]["plaintext"]) for key in ("result", "bcryptHash"))

    assert bcrypt.checkpw(password.encode(), digest.encode())
    assert digest.startswith("$2a$10$")
    assert len(password) == 24
    for text in (
        deployed.state_text(),
        deployed.run("stack", "output").stdout,
        deployed.run("preview", "--diff").stdout,
    ):
        assert password not in text
        assert digest not in text


def test_nothing_changed_is_no_change(deployed: EngineProject) -> None:
    deployed.run("preview", "--expect-no-changes")
    deployed.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    deployed.run("preview", "--expect-no-changes")


def test_a_default_written_out_is_no_change(deployed: EngineProject) -> None:
    deployed.run("preview", "--config", "trial:special=true", "--expect-no-changes")


def test_a_changed_keeper_replaces_its_resource_alone(deployed: EngineProject) -> None:
    before = deployed.resources("--show-secrets")

    said = deployed.run("preview", "--config", "trial:round=2", "--diff").stdout
    deployed.up("--config", "trial:round=2")

    after = deployed.resources("--show-secrets")
    assert '~ round: "1" => "2"' in said
    changed = [name for name in before if before[name].get("outputs") != after[name].get("outputs")]
    assert [name for name in changed if name in SHAPES] == ["password"]


def test_destroy_takes_all_of_it_away(deployed: EngineProject) -> None:
    deployed.run("destroy", "--yes", "--skip-preview")

    assert deployed.resources() == {}


def test_an_existing_password_can_be_imported(project: EngineProject) -> None:
    project.write(
        "import pulumi, pulumi_random\n"
        "pulumi_random.RandomPassword('old', length=9, opts=pulumi.ResourceOptions(import_='old&secre'))"
    )
    project.up()

    old = project.resources("--show-secrets")["old"]
    assert old["id"] == "none"
    assert json.loads(old["outputs"]["result"]["plaintext"]) == "old&secre"
    assert matches(SECRET, project.resources()["old"]["outputs"]["result"])


@pytest.mark.parametrize(
    ("resource", "reason"),
    [
        ("RandomPassword('x', length=3, min_lower=4)", "at least the sum of the minimums, 4, got 3"),
        ("RandomPassword('x', length=3, lower=False, upper=False, numeric=False, special=False)", "at least one class"),
        ("RandomInteger('x', min=3, max=2)", "it must not be above `max`, 2, got 3"),
        ("RandomInteger('x', min=3, max=5, seed='s')", "does not know 'seed'; install the official plugin"),
        ("RandomPet('x')", "knows RandomPassword, RandomString, .* and not random:index/randomPet:RandomPet"),
    ],
)
def test_what_cannot_be_drawn_is_refused_at_preview(project: EngineProject, resource: str, reason: str) -> None:
    project.write(f"import pulumi_random\npulumi_random.{resource}")

    done = project.run("preview", check=False)

    assert done.returncode != 0
    assert re.search(reason, done.stdout + done.stderr), done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("inputs", "pattern"),
    [
        ({"length": 40}, r"[\w!@#$%&*()\-=+\[\]{}<>:?]{40}"),
        ({"length": 40, "special": False}, r"[a-zA-Z0-9]{40}"),
        ({"length": 40, "special": False, "numeric": False, "upper": False}, r"[a-z]{40}"),
        ({"length": 40, "number": False, "special": False}, r"[a-zA-Z]{40}"),
        ({"length": 40, "lower": False, "upper": False, "numeric": False, "overrideSpecial": "~^"}, r"[~^]{40}"),
        ({"length": 4, "minUpper": 4}, r"[A-Z]{4}"),
        ({"length": 5, "minNumeric": 2, "minSpecial": 3, "overrideSpecial": "~"}, r"(?=(?:\D*\d){2})[0-9~]{5}"),
    ],
)
def test_a_string_keeps_its_rules(inputs: dict[str, Any], pattern: str) -> None:
    rules = characters.with_defaults(inputs)

    for _ in range(30):
        assert re.fullmatch(pattern, characters.draw(rules))


def test_two_draws_differ_and_use_every_allowed_character() -> None:
    drawn = [characters.draw(characters.with_defaults({"length": 64})) for _ in range(60)]

    assert len(set(drawn)) == 60
    assert len(set("".join(drawn))) == 26 + 26 + 10 + len(characters.SPECIAL)


@pytest.mark.parametrize(
    ("kind", "imported", "inputs", "identity"),
    [
        ("randomString:RandomString", "abc", {"length": 3}, "abc"),
        ("randomBytes:RandomBytes", base64.b64encode(b"12345").decode(), {"length": 5}, "MTIzNDU="),
        ("randomId:RandomId", "p,MTI", {"byteLength": 2, "prefix": "p"}, "MTI"),
        ("randomId:RandomId", "MTI", {"byteLength": 2}, "MTI"),
        ("randomInteger:RandomInteger", "4,1,6", {"min": 1, "max": 6}, "4"),
    ],
)
def test_import_ids_read_as_the_official_plugins(
    kind: str, imported: str, inputs: dict[str, Any], identity: str
) -> None:
    adopted, drawn = KINDS[f"random:index/{kind}"].adopt(imported)

    assert adopted == inputs
    assert drawn.id == identity


@pytest.mark.parametrize(
    ("kind", "secret"),
    [
        ("randomPassword:RandomPassword", {"result", "bcryptHash"}),
        ("randomBytes:RandomBytes", {"base64", "hex"}),
        ("randomString:RandomString", set()),
    ],
)
def test_secrets_are_marked_by_the_plugin_itself_whatever_the_sdk_asks(kind: str, secret: set[str]) -> None:
    known = KINDS[f"random:index/{kind}"]

    for drawn in (None, known.draw(known.with_defaults({"length": 5}))):
        outputs = _outputs(known, {"length": 5}, drawn)
        assert {name for name, value in outputs.items() if isinstance(value, Secret)} == secret


def test_an_id_that_cannot_be_imported_is_refused() -> None:
    with pytest.raises(ValueError, match="result,min,max"):
        KINDS["random:index/randomInteger:RandomInteger"].adopt("4")
