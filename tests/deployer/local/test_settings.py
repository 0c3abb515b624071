"""Each service reads what local writes: every setting is there, and none is unknown to it."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deployer.local.keys import ensure_keys, public_key, read_secret
from deployer.local.layout import AUTH, CHAT, NOTIFICATIONS, SERVICES, Layout, Service
from deployer.local.options import Firebase
from deployer.local.places import Places
from deployer.local.settings import environment, write_database_urls
from services.auth.settings import load_settings as load_auth
from services.chat.settings import load_settings as load_chat
from services.notifications.settings import load_settings as load_notifications
from services.settings import Secret, Source
from services.tokens import Signer, encode_public_key

PLACES = Places(
    gateway=8080,
    postgres=15432,
    public={"auth": 3000, "chat": 4000, "notifications": 3001},
    internal={"auth": 3010, "chat": 4010, "notifications": 3011},
)
LOAD: dict[Service, Callable[[Source], Any]] = {AUTH: load_auth, CHAT: load_chat, NOTIFICATIONS: load_notifications}


@pytest.fixture
def written(layout: Layout) -> Layout:
    ensure_keys(layout)
    write_database_urls(layout, PLACES)
    layout.page.mkdir()
    (layout.page / "index.html").write_text("the page")
    return layout


def load(service: Service, layout: Layout, firebase: Firebase, **user: str) -> tuple[Any, tuple[str, ...]]:
    source = Source(environment(service, layout, PLACES, firebase, user))
    settings = LOAD[service](source)
    source.finish()
    return settings, source.unread()


@pytest.mark.parametrize("service", SERVICES, ids=[service.name for service in SERVICES])
def test_a_service_finds_all_of_its_settings_and_no_others(service: Service, written: Layout) -> None:
    settings, unread = load(service, written, Firebase())

    assert unread == ()
    assert settings.server.host == "127.0.0.1"
    assert settings.server.public_port == PLACES.public[service.name]
    assert settings.server.internal_port == PLACES.internal[service.name]
    assert settings.database.url.reveal().endswith(f"@127.0.0.1:15432/{service.database}")


def test_chat_is_alone(written: Layout) -> None:
    """It has no bus, whatever the user's environment says."""
    assert load(CHAT, written, Firebase(), STAMPCHAT_BUS="nats")[0].bus.kind == "local"


def test_people_log_in_by_name_and_nothing_is_pushed(written: Layout) -> None:
    assert load(AUTH, written, Firebase())[0].logins == ("dev",)
    assert load(NOTIFICATIONS, written, Firebase())[0].push == "off"


def test_a_firebase_project_adds_its_login(written: Layout) -> None:
    settings, unread = load(AUTH, written, Firebase(project_id="a-project"))

    assert settings.logins == ("dev", "google")
    assert settings.firebase_project_id == "a-project"
    assert unread == ()


def test_the_users_own_settings_reach_a_service_but_not_the_commands_own(written: Layout) -> None:
    user = {
        "STAMPCHAT_LOG_LEVEL": "debug",
        "STAMPCHAT_GRACE_SECONDS": "9",
        "STAMPCHAT_HOME": "/elsewhere",
        "STAMPCHAT_HOST": "192.0.2.1",
        "PYTHONSTARTUP": "/surprise.py",
    }

    settings, unread = load(CHAT, written, Firebase(), **user)

    assert (settings.server.log_level, settings.server.grace_seconds) == ("debug", 9)
    assert settings.server.host == "127.0.0.1"
    assert unread == ()
    assert "PYTHONSTARTUP" not in environment(CHAT, written, PLACES, Firebase(), user)


def test_secrets_are_their_owners_alone_and_stay(written: Layout) -> None:
    files = sorted(written.secrets.iterdir())
    before = {path.name: path.read_text() for path in files}

    ensure_keys(written)

    assert {path.name: path.read_text() for path in files} == before
    assert len({*before.values()}) == len(files) >= 10
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert stat.S_IMODE(written.secrets.stat().st_mode) == 0o700


def test_an_empty_secret_is_made_anew_and_its_old_public_key_goes(written: Layout) -> None:
    (written.secrets / "private_key").write_text("")

    ensure_keys(written)

    kid, pem = public_key(read_secret(written.secrets / "private_key"))
    assert [path.name for path in written.token_keys.iterdir()] == [f"{kid}.pem"]
    assert (written.token_keys / f"{kid}.pem").read_text() == pem


def test_the_public_key_is_what_the_services_derive() -> None:
    signer = Signer(Secret("x" * 40))

    assert public_key("x" * 40) == (signer.kid, encode_public_key(signer.public_key))


def test_no_secret_is_in_an_environment(written: Layout) -> None:
    secrets = {read_secret(path) for path in Path(written.secrets).iterdir()}
    values = {value for service in SERVICES for value in environment(service, written, PLACES, Firebase(), {}).values()}

    assert not secrets & values
