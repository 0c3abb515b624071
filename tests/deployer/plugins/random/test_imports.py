"""What exists can be imported by the ids that the official plugin documents; what is wrong stops the preview."""

from __future__ import annotations

from typing import Any

import pytest

from tests.deployer.plugins.engine_project import EngineProject
from tests.deployer.plugins.random.programs import IMPORTS, differences, golden


@pytest.fixture(scope="module")
def imported(stack: EngineProject) -> dict[str, dict[str, Any]]:
    """The state after one program imported them all, and a preview without changes once they are its own."""
    stack.write(IMPORTS)
    stack.up()
    stack.run("preview", "--expect-no-changes")
    return stack.resources("--show-secrets")


@pytest.mark.parametrize("name", golden("imports"))
def test_an_import_gives_the_official_plugins_state(imported: dict[str, dict[str, Any]], name: str) -> None:
    expected, actual = golden("imports")[name], imported[name]

    assert differences(expected["id"], actual["id"]) == []
    assert differences(expected["inputs"], actual.get("inputs", {})) == []
    assert differences(expected["outputs"], actual["outputs"]) == []


def test_a_program_that_asks_for_the_impossible_stops_at_its_preview(stack: EngineProject) -> None:
    """What each kind refuses is asked of the plugin itself in test_provider; this is how a user sees it."""
    stack.write("import pulumi_random as random\nrandom.RandomPassword('x', length=3, min_lower=4)")

    done = stack.run("preview", check=False)

    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert "it must be at least the sum of the minimums, 4, got 3" in said
    assert "Traceback" not in said


def test_the_command_imports_and_leaves_the_program_to_the_user(stack: EngineProject) -> None:
    done = stack.run("import", "random:index/randomString:RandomString", "by-command", "opq", "--yes", check=False)

    assert "--generate-code=false asks for no program" in done.stdout + done.stderr
    assert stack.resources()["by-command"]["outputs"]["result"] == "opq"
