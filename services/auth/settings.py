"""Read the settings of the auth service."""

from __future__ import annotations

from dataclasses import dataclass

from services.auth.firebase import KEYS_URL
from services.legacy_tokens import LegacyTokens, load_legacy_tokens
from services.page import INDEX, PageSettings
from services.settings import (
    MIN_SECRET,
    DatabaseSettings,
    Secret,
    ServerSettings,
    Source,
    load_database,
    load_internal_credential,
    load_server,
)
from services.tokens import PublicKeys, derive_private_key, key_id, load_public_keys

PUBLIC_PORT = 3000
INTERNAL_PORT = 3010
LOGINS = ("dev", "google")
DAY = 86_400
# Where a browser signs in with Google: https://cloud.google.com/identity-platform/docs/reference/rest
IDENTITY_URL = "https://identitytoolkit.googleapis.com"


@dataclass(frozen=True)
class AuthSettings:
    """Hold all that the auth service is told.

    Attributes:
        server: where it listens.
        database: where its users are.
        credential: what it shows the chat service, and what its own internal port asks for.
        private_key: the string from which the signing key is derived.
        token_keys: the public keys whose tokens are still good, its own among them.
        chat_internal_url: where chat users are made.
        chat_public_url: what GET /test-chat asks.
        notifications_internal_url: where the devices of a deleted account are forgotten.
        logins: who may vouch for people.
        firebase_project_id: the project whose ID tokens are ours; empty without the google login.
        firebase_keys_url: where the provider's keys lie.
        session_seconds: how long a session may be renewed.
        legacy_tokens: what judges the tokens of the system before ours, for a while after moving.
        page: the web page that is served beside the calls, or None.
    """

    server: ServerSettings
    database: DatabaseSettings
    credential: Secret
    private_key: Secret
    token_keys: PublicKeys
    chat_internal_url: str
    chat_public_url: str
    notifications_internal_url: str
    logins: tuple[str, ...]
    firebase_project_id: str = ""
    firebase_keys_url: str = KEYS_URL
    session_seconds: int = 30 * DAY
    legacy_tokens: LegacyTokens | None = None
    page: PageSettings | None = None


def load_settings(source: Source) -> AuthSettings:
    """Read every setting; source.finish() then says what is wrong."""
    logins = source.words("LOGIN", None)
    for login in logins:
        if login not in LOGINS:
            source.problem("LOGIN", f"names {login!r}, which is not one of {', '.join(LOGINS)}")
    google = "google" in logins
    token_keys = load_public_keys(source)
    return AuthSettings(
        server=load_server(source, public_port=PUBLIC_PORT, internal_port=INTERNAL_PORT),
        database=load_database(source),
        credential=load_internal_credential(source),
        private_key=_load_private_key(source, token_keys),
        token_keys=token_keys,
        chat_internal_url=source.url("CHAT_INTERNAL_URL"),
        chat_public_url=source.url("CHAT_PUBLIC_URL"),
        notifications_internal_url=source.url("NOTIFICATIONS_INTERNAL_URL"),
        logins=logins,
        firebase_project_id=source.text("FIREBASE_PROJECT_ID", None if google else ""),
        firebase_keys_url=source.url("FIREBASE_KEYS_URL", KEYS_URL),
        session_seconds=source.integer("SESSION_DAYS", 30, least=1, most=365) * DAY,
        legacy_tokens=load_legacy_tokens(source),
        page=_load_page(source, logins),
    )


def _load_page(source: Source, logins: tuple[str, ...]) -> PageSettings | None:
    if not source.text("WEB_DIR", ""):
        return None
    folder = source.folder("WEB_DIR")
    if folder.is_dir() and not (folder / INDEX).is_file():
        source.problem("WEB_DIR", f"names {folder}, which holds no {INDEX}")
    key = source.text("WEB_FIREBASE_API_KEY", "")
    # A way to log in that the page cannot go is not offered there.
    ways = [login for login in logins if login != "google" or key]
    if "google" not in ways:
        return PageSettings(folder, {"logins": ways})
    identity = source.url("WEB_IDENTITY_URL", IDENTITY_URL)
    return PageSettings(folder, {"logins": ways, "firebase": {"apiKey": key, "identity": identity}}, [identity])


def _load_private_key(source: Source, token_keys: PublicKeys) -> Secret:
    private_key = source.secret_file("PRIVATE_KEY_FILE", least=MIN_SECRET)
    if private_key and token_keys:
        kid = key_id(derive_private_key(private_key).public_key())
        if kid not in token_keys:
            source.problem("TOKEN_KEYS_DIR", f"holds no {kid}.pem, so nobody could verify what PRIVATE_KEY_FILE signs")
    return private_key
