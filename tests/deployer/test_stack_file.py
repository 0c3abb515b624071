"""Single values of a stack's file."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from deployer.errors import UsageError
from deployer.stack_file import change_stack_file, load_stack_file, set_value

ROOT = Path(__file__).parents[2]
TEMPLATE = (ROOT / "Pulumi.prod.yaml").read_text(encoding="utf-8")


def test_a_value_takes_the_place_of_the_comment_that_asked_for_it() -> None:
    """One line changes, and no other."""
    changed = set_value(TEMPLATE, ("config", "stampchat:hostname"), "chat.your.org")

    differing = [pair for pair in zip(TEMPLATE.splitlines(), changed.splitlines(), strict=True) if pair[0] != pair[1]]
    assert differing == [("  # stampchat:hostname: chat.your-domain.org", "  stampchat:hostname: chat.your.org")]


def test_a_nested_value_goes_among_its_siblings() -> None:
    """Where its comment stood as well."""
    changed = set_value(TEMPLATE, ("config", "stampchat:acme", "email"), "me@your.org")

    assert yaml.safe_load(changed)["config"]["stampchat:acme"] == {"server": "staging", "email": "me@your.org"}
    assert len(changed.splitlines()) == len(TEMPLATE.splitlines())


def test_a_known_value_is_replaced_and_what_stands_around_it_stays() -> None:
    """A sealed one, a list, a number."""
    sealed = set_value(TEMPLATE, ("config", "stampchat:authDatabaseUrl"), {"secure": "v1:" + "a" * 300})
    again = set_value(sealed, ("config", "stampchat:authDatabaseUrl"), {"secure": "v1:b"})
    listed = set_value(again, ("config", "stampchat:signingKeys"), [1, 2])

    config = yaml.safe_load(listed)["config"]
    assert config["stampchat:authDatabaseUrl"] == {"secure": "v1:b"}
    assert config["stampchat:signingKeys"] == [1, 2]
    assert "  stampchat:signingKeys: [1, 2]\n" in listed
    assert [line for line in TEMPLATE.splitlines() if line not in listed.splitlines()] == [
        "  # stampchat:authDatabaseUrl: secret",
        "  stampchat:signingKeys: [1]",
    ]


@pytest.mark.parametrize(
    ("text", "path", "expected"),
    [
        ("", ("config", "a:b"), {"config": {"a:b": "x"}}),
        ("config:\n", ("config", "a:b"), {"config": {"a:b": "x"}}),
        ("config: {}\n", ("config", "a:b"), {"config": {"a:b": "x"}}),
        ("config: {a:c: 1}\n", ("config", "a:b"), {"config": {"a:c": 1, "a:b": "x"}}),
        ("config:\n  a:c: 1", ("config", "a:b"), {"config": {"a:c": 1, "a:b": "x"}}),
        ("config:\n  a:c: 1\n# the end\n", ("encryptionsalt",), {"config": {"a:c": 1}, "encryptionsalt": "x"}),
        ("config:\n  a:b: {c: 1}\n", ("config", "a:b", "d"), {"config": {"a:b": {"c": 1, "d": "x"}}}),
        ("config:\n  a:b: word\n", ("config", "a:b", "d"), {"config": {"a:b": {"d": "x"}}}),
        ("config:\n  a:b: |\n    two\n    lines\n  a:c: 1\n", ("config", "a:b"), {"config": {"a:b": "x", "a:c": 1}}),
        ("config:\n  a:b:\n  - 1\n  - 2\n  # c\n  a:c: 1\n", ("config", "a:b"), {"config": {"a:b": "x", "a:c": 1}}),
        ("config:\n  a:b:\nsalt: 1\n", ("config", "a:b"), {"config": {"a:b": "x"}, "salt": 1}),
    ],
)
def test_every_form_that_a_person_writes(text: str, path: tuple[str, ...], expected: object) -> None:
    """Empty, flow, without a last line break, blocks."""
    assert yaml.safe_load(set_value(text, path, "x")) == expected


def test_a_file_is_changed_whole_and_keeps_its_mode(tmp_path: Path) -> None:
    """Its comments too."""
    path = tmp_path / "Pulumi.prod.yaml"
    path.write_text(TEMPLATE)
    path.chmod(0o640)

    change_stack_file(path, {"stampchat:hostname": "chat.your.org"}, {"encryptionsalt": "v1:salt"})

    loaded = load_stack_file(path)
    assert loaded["config"]["stampchat:hostname"] == "chat.your.org"
    assert loaded["encryptionsalt"] == "v1:salt"
    assert path.stat().st_mode & 0o777 == 0o640
    assert [name.name for name in tmp_path.iterdir()] == ["Pulumi.prod.yaml"]
    assert sum(line.lstrip().startswith("#") for line in path.read_text().splitlines()) == (
        sum(line.lstrip().startswith("#") for line in TEMPLATE.splitlines()) - 1
    )


@pytest.mark.parametrize("text", ["- 1\n", "config: [1]\n", "config: {a\n"])
def test_what_is_no_stack_file_is_refused(tmp_path: Path, text: str) -> None:
    """With the file's name."""
    path = tmp_path / "Pulumi.prod.yaml"
    path.write_text(text)

    with pytest.raises(UsageError, match=r"Pulumi\.prod\.yaml"):
        load_stack_file(path)
