"""The documentation names every setting, key and verb that there is."""

from __future__ import annotations

import re
from pathlib import Path

import typer.main

from cli.app import app
from infra.values import NAMESPACE

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")
READ_SETTING = re.compile(r'\bsource\.(?:text|integer|choice|words|url|folder|secret_file)\(\s*"([A-Z_]+)"')


def test_every_setting_of_a_service_is_documented() -> None:
    sources = [path.read_text(encoding="utf-8") for path in (ROOT / "services").rglob("*.py")]
    names = {name for source in sources for name in READ_SETTING.findall(source)}

    assert len(names) > 20
    assert {name for name in names if f"`STAMPCHAT_{name}`" not in CONFIGURATION} == set()


def test_every_key_of_the_stacks_files_is_documented() -> None:
    keys = set()
    for stack in ("dev", "prod"):
        text = (ROOT / f"Pulumi.{stack}.yaml").read_text(encoding="utf-8")
        keys |= set(re.findall(rf"{NAMESPACE.rstrip(':')}:(\w+):", text))

    assert len(keys) > 10
    assert {key for key in keys if f"`{key}" not in CONFIGURATION} == set()


def test_every_verb_is_in_the_readme() -> None:
    group = typer.main.get_command(app)
    verbs = set(getattr(group, "commands", {}))

    assert "up" in verbs
    assert {verb for verb in verbs if f"./stampchat {verb}" not in README} == set()
