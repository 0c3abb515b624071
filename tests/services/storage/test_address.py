"""Read the address of a database, which holds a password that no problem may quote."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from services.settings import DatabaseSettings, Source, load_database


def load(tmp_path: Path, **addresses: str) -> tuple[DatabaseSettings, list[str]]:
    """Load settings out of files with addresses; return the problems too."""
    environ = {}
    for name, address in addresses.items():
        (tmp_path / name).write_text(address)
        environ[f"STAMPCHAT_{name}_URL_FILE"] = str(tmp_path / name)
    source = Source(environ)
    return load_database(source), source.problems


@pytest.mark.parametrize(
    ("address", "problem"),
    [
        ("mysql://u:hunter2@h/d", "does not hold a postgres:// address"),
        ("postgres://u:hunter2@[h/d", "cannot be read"),
        ("postgres://u:hunter2@h/d?sslmode=verify-most", "asks for sslmode=verify-most, not one of disable"),
        ("postgres://u:hunter2@h/d?sslrootcert=/nowhere/ca.pem", "asks for sslrootcert=/nowhere/ca.pem, which cannot"),
        ("postgres://u:hunter2@h/d?sslcert=/nowhere/me.crt", "asks for sslcert=/nowhere/me.crt, which cannot"),
    ],
)
@pytest.mark.parametrize("name", ["DATABASE", "MIGRATE_DATABASE"])
def test_what_is_wrong_is_said_without_the_password(tmp_path: Path, name: str, address: str, problem: str) -> None:
    """At the start, and not at the first connection."""
    _, problems = load(tmp_path, **{"DATABASE": "postgres://u@h/d", name: address})

    assert [f"STAMPCHAT_{name}_URL_FILE" in problems[0], problem in problems[0], len(problems)] == [True, True, 1]
    assert "hunter2" not in problems[0]


def test_all_is_well_with_a_hosted_address(tmp_path: Path) -> None:
    """Several hosts, a password of signs, an authority."""
    authority = tmp_path / "ca.pem"
    authority.touch()
    address = f"postgresql://u:p%40%2F@a.example,b.example/d?sslmode=verify-full&sslrootcert={authority}"

    settings, problems = load(tmp_path, DATABASE=address)

    assert problems == []
    assert settings.url.reveal() == address
    assert not settings.migrate_url


def test_the_migrating_role_is_optional(tmp_path: Path) -> None:
    """Where it is named, its file has to be there."""
    settings, problems = load(tmp_path, DATABASE="postgres://app@h/d", MIGRATE_DATABASE="postgres://owner@h/d")

    assert problems == []
    assert settings.migrate_url.reveal() == "postgres://owner@h/d"


@pytest.mark.parametrize("option", ["", "&sslrootcert=system"])
def test_without_an_authority_those_of_the_machine_are_trusted(tmp_path: Path, option: str) -> None:
    """As for a hosted database with a public certificate; asyncpg by itself would look into a home directory."""
    bundle = ssl.get_default_verify_paths().cafile
    if not bundle:
        pytest.skip("NOT TESTED: this machine has no bundle of authorities")

    settings, problems = load(tmp_path, DATABASE=f"postgresql://u:p@h/d?sslmode=verify-full{option}")

    assert problems == []
    assert settings.url.reveal() == f"postgresql://u:p@h/d?sslmode=verify-full&sslrootcert={bundle}"


def test_a_machine_without_authorities_asks_for_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said at the start."""
    nothing = ssl.get_default_verify_paths()._replace(cafile="")
    monkeypatch.setattr("services.settings.ssl.get_default_verify_paths", lambda: nothing)

    _, problems = load(tmp_path, DATABASE="postgresql://u:hunter2@h/d?sslmode=verify-full")

    assert ["name the authority's file" in problems[0], "hunter2" in problems[0]] == [True, False]
