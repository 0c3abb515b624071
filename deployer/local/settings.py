"""Write each service's settings, in the words of docs/configuration.md."""

from __future__ import annotations

import os
from collections.abc import Mapping

from deployer.files import write_private
from deployer.local.keys import database_url_file, password_file, read_secret
from deployer.local.layout import AUTH, CHAT, NOTIFICATIONS, SERVICES, Layout, Service
from deployer.local.options import Firebase
from deployer.local.places import LOOPBACK, Places

_PREFIX = "STAMPCHAT_"
# These are the command's own, not a service's.
_OURS = ("STAMPCHAT_HOME", "STAMPCHAT_CACHE", "STAMPCHAT_VENV", "STAMPCHAT_PYTHON")
# Nobody wants to wait at a change or at Ctrl-C for what is still being answered.
GRACE_SECONDS = 3
# Unless the user says otherwise; more open files than a laptop's shell allows would only be warned of.
_MODEST = {"GRACE_SECONDS": str(GRACE_SECONDS), "MAX_CONNECTIONS": "800"}


def write_database_urls(layout: Layout, places: Places) -> None:
    """Write the addresses of the databases; they hold passwords, so they are files."""
    for service in SERVICES:
        password = read_secret(password_file(layout, service.name))
        address = f"postgresql://{service.database}:{password}@{LOOPBACK}:{places.postgres}/{service.database}"
        write_private(database_url_file(layout, service.name), f"{address}\n")


def environment(
    service: Service, layout: Layout, places: Places, firebase: Firebase, inherited: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the environment that a service runs in.

    The user's own STAMPCHAT_ settings pass through, so that limits can be tried; what makes the services find each
    other is ours.

    Args:
        service: which.
        layout: where its secrets lie.
        places: where everything listens.
        firebase: who vouches for people, and whether pushes are sent.
        inherited: the user's environment.
    """
    user = dict(os.environ if inherited is None else inherited)
    kept = {name: value for name, value in user.items() if name not in _OURS and not name.startswith("PYTHON")}
    own = {
        "HOST": LOOPBACK,
        "PUBLIC_PORT": str(places.public[service.name]),
        "INTERNAL_PORT": str(places.internal[service.name]),
        "TRUSTED_HOPS": "1",
        "DATABASE_URL_FILE": str(database_url_file(layout, service.name)),
        "INTERNAL_CREDENTIAL_FILE": str(layout.secrets / "credential"),
        "TOKEN_KEYS_DIR": str(layout.token_keys),
        **{name: user.get(f"{_PREFIX}{name}", value) for name, value in _MODEST.items()},
        **_OWN[service](layout, places, firebase),
    }
    # Ours are for our own page; the user's are for theirs.
    if origins := ",".join(filter(None, (own.get("ALLOWED_ORIGINS"), user.get(f"{_PREFIX}ALLOWED_ORIGINS")))):
        own["ALLOWED_ORIGINS"] = origins
    settings = {f"{_PREFIX}{name}": value for name, value in own.items()}
    return {**kept, **settings, "PYTHONPATH": str(layout.root), "PYTHONUNBUFFERED": "1", "PYTHONUTF8": "1"}


def _auth(layout: Layout, places: Places, firebase: Firebase) -> dict[str, str]:
    own = {
        "PRIVATE_KEY_FILE": str(layout.secrets / "private_key"),
        "CHAT_INTERNAL_URL": places.internal_url(CHAT.name),
        "CHAT_PUBLIC_URL": places.public_url(CHAT.name),
        "NOTIFICATIONS_INTERNAL_URL": places.internal_url(NOTIFICATIONS.name),
        "LOGIN": firebase.logins,
        "WEB_DIR": str(layout.page),
    }
    return own | ({"FIREBASE_PROJECT_ID": firebase.project_id} if firebase.project_id else {})


def _chat(layout: Layout, places: Places, _: Firebase) -> dict[str, str]:
    return {
        "SECRET_KEY_BASE_FILE": str(layout.secrets / "secret_key_base"),
        "NOTIFICATIONS_INTERNAL_URL": places.internal_url(NOTIFICATIONS.name),
        "ALLOWED_ORIGINS": ",".join(places.origins),
        # It is one process, and tells nobody else.
        "BUS": "local",
    }


def _notifications(_: Layout, __: Places, firebase: Firebase) -> dict[str, str]:
    if firebase.service_account is None:
        return {"PUSH": "off"}
    return {"PUSH": "fcm", "FIREBASE_SERVICE_ACCOUNT_FILE": str(firebase.service_account)}


_OWN = {AUTH: _auth, CHAT: _chat, NOTIFICATIONS: _notifications}
