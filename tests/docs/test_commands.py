"""Every command that a page names is one that the command line takes, and every key one that a stack knows."""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import pytest
import typer.main

from cli.app import app, hoist
from infra.config import validate_stack
from infra.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
# In a sentence, a table or a block; `…` and what follows stands for whatever fits there.
COMMAND = re.compile(r"\./stampchat((?: +[^`\n|#&;)]+)?)")
KEY = re.compile(r"stampchat:(\w+)")


def commands(page: Path) -> list[str]:
    """List what a page writes behind ./stampchat."""
    text = re.sub(r"\$\((?!\./stampchat)[^)]*\)", "", page.read_text(encoding="utf-8").replace("\\|", " "))
    return [match[1].strip().rstrip(".,:") for match in COMMAND.finditer(text) if match[1].strip()]


@functools.cache
def command_line() -> Any:
    """Build the tree of verbs, once: it takes longer than to look something up in it."""
    return typer.main.get_command(app)


def problem(words: list[str]) -> str:
    """Say why the command line would not take some words, or nothing."""
    command = command_line()
    options: set[str] = set()
    for word in [part for part in hoist(words) if part not in ("--debug", "--quiet", "-q")]:
        if word.startswith("-") and len(word) > 1:
            options.add(word.partition("=")[0])
        elif hasattr(command, "commands"):
            if word not in command.commands:
                return f"there is no {word!r} in {command.name}"
            command = command.commands[word]
    if command.name == "test":
        return ""
    known = {option for parameter in command.params for option in [*parameter.opts, *parameter.secondary_opts]}
    unknown = sorted(options - known - {"--help", "-h"})
    return f"{command.name} has no {', '.join(unknown)}" if unknown else ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_a_page_is_taken(page: Path) -> None:
    """Verb and options alike."""
    wrong = []
    for line in commands(page):
        # What a shell would take away says nothing about verbs and options.
        words = [word for word in re.sub(r"[\"'\\]", " ", line).split() if word not in ("…", "[STACK]", "<", ">")]
        # Several verbs in one, as in a table: `secrets init|set`.
        for verb in words[1].split("|") if len(words) > 1 else [""]:
            told = problem([words[0], *([verb] if verb else []), *words[2:]])
            if told:
                wrong.append(f"./stampchat {line}: {told}")

    assert wrong == []


def test_the_page_on_production_names_every_verb_for_a_managed_cluster() -> None:
    """From the first secret to the end."""
    found = {" ".join(line.split()[:2]) for line in commands(ROOT / "docs" / "production.md")}

    for verb in ("secrets init", "secrets check", "secrets set", "secrets rotate", "dns prod", "drift prod"):
        assert verb in found
    assert {"preview prod", "up prod", "backup prod", "rollback prod", "unlock prod", "destroy prod"} <= found


def is_known(key: str) -> bool:
    """Ask the program whether a stack of either place may have a key."""
    for place in ("dev", "prod"):
        with pytest.raises(ConfigError) as raised:
            validate_stack({"stampchat:place": place, f"stampchat:{key}": "x", "stampchat:nonsense": "x"})
        if not any(re.search(rf"\b{key}\b.*(is not a key|unknown)", problem) for problem in raised.value.problems):
            return True
    return False


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_key_of_a_page_is_one_that_a_stack_knows(page: Path) -> None:
    """Under stampchat:, as the stacks' files have them."""
    keys = set(KEY.findall(page.read_text(encoding="utf-8"))) - {"place"}

    assert {key for key in keys if not is_known(key)} == set()


def test_what_is_not_there_is_seen() -> None:
    """The tests above can fail."""
    assert problem(["secrets", "sett"])
    assert problem(["up", "prod", "--now"])
    assert not problem(["up", "--stack", "prod", "--yes"])
    assert is_known("hostname")
    assert not is_known("hostnam")
