"""Read whether the web page is served, and by which Firebase web config people sign in on it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from infra.values import Values

KEY = "web"
# As Firebase's console shows the config of a web app. None of it is a secret: a browser has to know it.
_API_KEY = re.compile(r"AIza[0-9A-Za-z_-]{35}")
_APP_ID = re.compile(r"1:\d+:web:[0-9a-f]+")
_DOMAIN = re.compile(r"[a-z0-9-]+(\.[a-z0-9-]+)+")
# What the console shows besides, and a page without Firebase's own scripts has no use for.
_UNUSED = ("storageBucket", "messagingSenderId", "measurementId", "databaseURL")


@dataclass(frozen=True)
class FirebaseWeb:
    """Hold what a browser needs to sign in with Google.

    Attributes:
        api_key: names the project to Google.
        auth_domain: the project's own host for sign-ins.
        app_id: the web app.
    """

    api_key: str
    auth_domain: str
    app_id: str


@dataclass(frozen=True)
class WebConfig:
    """Say that the page is served.

    Attributes:
        firebase: how people sign in with Google there; None where they log in by name alone.
    """

    firebase: FirebaseWeb | None


def read_web(reader: Values, *, default: bool, login: tuple[str, ...], project: str) -> WebConfig | None:
    """Read the page's config; None where it is off.

    Args:
        reader: of the stack's config.
        default: whether the page is on where nothing is said.
        login: how people log in.
        project: the Firebase project whose ID tokens auth takes.
    """
    nested = reader.nested(KEY)
    enabled = nested.flag("enabled", default=default)
    firebase = None
    if nested.has("firebase"):
        firebase = _read_firebase(nested.nested("firebase"), project)
        if "google" not in login:
            nested.problem("firebase", "is for the login google, which this stack has not")
    elif enabled and login == ("google",):
        nested.problem("firebase", "is not set; without it nobody could log in on the page")
    nested.reject_unread()
    return WebConfig(firebase) if enabled else None


def _read_firebase(reader: Values, project: str) -> FirebaseWeb:
    found = FirebaseWeb(
        api_key=_matching(reader, "apiKey", _API_KEY, "a Firebase API key (AIza and 35 characters)"),
        auth_domain=_matching(reader, "authDomain", _DOMAIN, "a host such as your-project.firebaseapp.com"),
        app_id=_matching(reader, "appId", _APP_ID, "a web app's id (1:NUMBER:web:HEX)"),
    )
    named = reader.text("projectId")
    if named and project and named != project:
        reader.problem("projectId", f"is {named!r}, but firebaseProjectId is {project!r}; they have to be the same")
    reader.ignore(*_UNUSED)
    reader.reject_unread()
    return found


def _matching(reader: Values, key: str, pattern: re.Pattern[str], what: str) -> str:
    value = reader.text(key)
    if value and not pattern.fullmatch(value):
        reader.problem(key, f"is {value!r}, not {what}")
    return value
