from __future__ import annotations

import secrets
from pathlib import Path

import pytest

from services.auth.settings import load_settings
from services.errors import SettingsError
from services.settings import Secret, Source
from services.tokens import Signer, encode_public_key


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Mount everything that the service asks for."""
    private_key = secrets.token_urlsafe(48)
    keys = tmp_path / "token-keys"
    keys.mkdir()
    signer = Signer(Secret(private_key))
    (keys / f"{signer.kid}.pem").write_text(encode_public_key(signer.public_key))
    (tmp_path / "private_key").write_text(private_key + "\n")
    (tmp_path / "database_url").write_text("postgresql://auth:hunter2@db/stamp_chat")
    (tmp_path / "credential").write_text(secrets.token_hex(32))
    return {
        "STAMPCHAT_DATABASE_URL_FILE": str(tmp_path / "database_url"),
        "STAMPCHAT_INTERNAL_CREDENTIAL_FILE": str(tmp_path / "credential"),
        "STAMPCHAT_TOKEN_KEYS_DIR": str(keys),
        "STAMPCHAT_PRIVATE_KEY_FILE": str(tmp_path / "private_key"),
        "STAMPCHAT_CHAT_INTERNAL_URL": "http://stamp-chat-channels:4010",
        "STAMPCHAT_CHAT_PUBLIC_URL": "http://stamp-chat-channels:4000/",
        "STAMPCHAT_NOTIFICATIONS_INTERNAL_URL": "http://stamp-chat-notifications:3011",
        "STAMPCHAT_LOGIN": "dev",
    }


def problems(environ: dict[str, str]) -> str:
    """Load and return what was wrong."""
    source = Source(environ)
    load_settings(source)
    with pytest.raises(SettingsError) as raised:
        source.finish()
    return str(raised.value)


def test_good_settings_load_and_print_no_secret(environ: dict[str, str]) -> None:
    """The ports are the service's own unless told."""
    source = Source(environ)
    settings = load_settings(source)
    source.finish()

    assert (settings.server.public_port, settings.server.internal_port) == (3000, 3010)
    assert settings.chat_public_url == "http://stamp-chat-channels:4000"
    assert source.unread() == ()
    for name in ("database_url", "private_key", "credential"):
        path = Path(environ["STAMPCHAT_DATABASE_URL_FILE"]).with_name(name)
        assert path.read_text().strip() not in repr(settings)


@pytest.mark.parametrize(
    "name",
    [
        "STAMPCHAT_DATABASE_URL_FILE",
        "STAMPCHAT_INTERNAL_CREDENTIAL_FILE",
        "STAMPCHAT_TOKEN_KEYS_DIR",
        "STAMPCHAT_PRIVATE_KEY_FILE",
        "STAMPCHAT_CHAT_INTERNAL_URL",
        "STAMPCHAT_CHAT_PUBLIC_URL",
        "STAMPCHAT_NOTIFICATIONS_INTERNAL_URL",
        "STAMPCHAT_LOGIN",
    ],
)
def test_nothing_that_is_asked_for_has_a_default(environ: dict[str, str], name: str) -> None:
    """A service that lacks one does not start, and says which."""
    del environ[name]

    assert f"{name} is not set" in problems(environ)


def test_every_problem_is_reported_at_once(environ: dict[str, str]) -> None:
    """Nobody fixes settings one start at a time."""
    environ |= {"STAMPCHAT_PUBLIC_PORT": "http", "STAMPCHAT_LOGIN": "dev,facebook", "STAMPCHAT_PRIVATE_KEY_FILE": "/no"}

    said = problems(environ)

    assert "STAMPCHAT_PUBLIC_PORT is 'http'" in said
    assert "STAMPCHAT_LOGIN names 'facebook'" in said
    assert "STAMPCHAT_PRIVATE_KEY_FILE names /no, which cannot be read" in said


def test_google_asks_for_its_project_and_dev_does_not(environ: dict[str, str]) -> None:
    """Without Firebase none of Firebase is asked for."""
    assert "STAMPCHAT_FIREBASE_PROJECT_ID is not set" in problems({**environ, "STAMPCHAT_LOGIN": "dev,google"})


def test_a_short_secret_was_typed_and_is_refused(environ: dict[str, str]) -> None:
    """The problem does not quote it."""
    Path(environ["STAMPCHAT_PRIVATE_KEY_FILE"]).write_text("hunter2")

    said = problems(environ)

    assert "STAMPCHAT_PRIVATE_KEY_FILE" in said
    assert "hunter2" not in said


def test_a_key_that_nobody_could_verify_is_refused(environ: dict[str, str]) -> None:
    """The private key and the folder of public keys must fit."""
    Path(environ["STAMPCHAT_PRIVATE_KEY_FILE"]).write_text(secrets.token_urlsafe(48))

    assert "STAMPCHAT_TOKEN_KEYS_DIR holds no" in problems(environ)
