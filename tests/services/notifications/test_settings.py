from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from services.errors import SettingsError
from services.notifications.service_account import ServiceAccount
from services.notifications.settings import load_settings
from services.settings import Source


@pytest.fixture
def environ(tmp_path: Path, keys_folder: Path) -> dict[str, str]:
    """Mount everything that the service asks for with pushes off."""
    (tmp_path / "database_url").write_text("postgresql://notifications@db/stamp_chat")
    (tmp_path / "credential").write_text(secrets.token_hex(32))
    return {
        "STAMPCHAT_DATABASE_URL_FILE": str(tmp_path / "database_url"),
        "STAMPCHAT_INTERNAL_CREDENTIAL_FILE": str(tmp_path / "credential"),
        "STAMPCHAT_TOKEN_KEYS_DIR": str(keys_folder),
        "STAMPCHAT_PUSH": "off",
    }


def problems(environ: dict[str, str]) -> str:
    """Load and return what was wrong."""
    source = Source(environ)
    load_settings(source)
    with pytest.raises(SettingsError) as raised:
        source.finish()
    return str(raised.value)


def test_with_pushes_off_nothing_of_firebase_is_asked_for(environ: dict[str, str]) -> None:
    """A deployment without Firebase has no file to mount."""
    source = Source(environ)
    settings = load_settings(source)
    source.finish()

    assert (settings.push, settings.service_account) == ("off", None)
    assert (settings.server.public_port, settings.server.internal_port) == (3001, 3011)


@pytest.mark.parametrize(
    "name",
    [
        "STAMPCHAT_DATABASE_URL_FILE",
        "STAMPCHAT_INTERNAL_CREDENTIAL_FILE",
        "STAMPCHAT_TOKEN_KEYS_DIR",
        "STAMPCHAT_PUSH",
    ],
)
def test_nothing_that_is_asked_for_has_a_default(environ: dict[str, str], name: str) -> None:
    """A service that lacks one does not start, and says which."""
    del environ[name]

    assert f"{name} is not set" in problems(environ)


def test_fcm_asks_for_the_service_account(environ: dict[str, str]) -> None:
    """Pushes without an account cannot work, so the start says so."""
    assert "STAMPCHAT_FIREBASE_SERVICE_ACCOUNT_FILE is not set" in problems({**environ, "STAMPCHAT_PUSH": "fcm"})


def test_a_good_account_loads_and_prints_no_key(
    environ: dict[str, str], tmp_path: Path, account: ServiceAccount, account_json: str
) -> None:
    """The file is Firebase's own JSON."""
    (tmp_path / "firebase").write_text(account_json)
    fcm = {"STAMPCHAT_PUSH": "fcm", "STAMPCHAT_FIREBASE_SERVICE_ACCOUNT_FILE": str(tmp_path / "firebase")}
    source = Source({**environ, **fcm})
    settings = load_settings(source)
    source.finish()

    loaded = settings.service_account
    assert loaded is not None
    assert loaded.private_key.reveal() == account.private_key.reveal()
    assert (loaded.project_id, loaded.token_uri) == (account.project_id, account.token_uri)
    assert "PRIVATE KEY" not in repr(settings)


@pytest.mark.parametrize(
    ("find", "put"),
    [
        ("{", "["),
        ('"service_account"', '"authorized_user"'),
        ("project_id", "projekt_id"),
        ("BEGIN PRIVATE KEY", "BEGIN"),
    ],
)
def test_a_broken_account_is_refused_without_quoting_it(
    environ: dict[str, str], tmp_path: Path, account_json: str, find: str, put: str
) -> None:
    """A key in a log would be a key to revoke."""
    (tmp_path / "firebase").write_text(account_json.replace(find, put))
    fcm = {"STAMPCHAT_PUSH": "fcm", "STAMPCHAT_FIREBASE_SERVICE_ACCOUNT_FILE": str(tmp_path / "firebase")}

    said = problems({**environ, **fcm})

    assert "STAMPCHAT_FIREBASE_SERVICE_ACCOUNT_FILE" in said
    assert "KEY-----" not in said
