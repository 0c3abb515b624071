"""Say what is particular about each of the three services: its settings and what it mounts."""

from __future__ import annotations

from urllib.parse import urlsplit

from infra.builders.volumes import Mount, config_map_mount, scratch_mount, secret_mount
from infra.catalogue import (
    AUTH,
    BUS_PATH,
    BUS_SECRET,
    CHAT,
    DATABASE_CA,
    DATABASE_CA_PATH,
    FIREBASE_PATH,
    FIREBASE_SECRET,
    INTERNAL_PATH,
    INTERNAL_SECRET,
    LEGACY_PATH,
    LEGACY_SECRET,
    MIGRATE_PATH,
    NOTIFICATIONS,
    PAGE_FOLDER,
    SECRETS_PATH,
    TOKEN_KEYS,
    TOKEN_KEYS_PATH,
    Application,
)
from infra.config import StackConfig

# Seconds that requests in flight may take after the signal to stop.
GRACE_SECONDS = 20


def settings(application: Application, config: StackConfig) -> dict[str, str]:
    """Build a service's settings; none of them is secret, a secret one names the file that holds it."""
    common = {
        "DATABASE_URL_FILE": f"{SECRETS_PATH}/database_url",
        "INTERNAL_CREDENTIAL_FILE": f"{INTERNAL_PATH}/credential",
        "TOKEN_KEYS_DIR": TOKEN_KEYS_PATH,
        "PUBLIC_PORT": str(application.public_port),
        "INTERNAL_PORT": str(application.internal_port),
        # The gateway alone stands in front, and it believes nobody's X-Forwarded-For but its own.
        "TRUSTED_HOPS": "1",
        "LOG_LEVEL": config.log_level,
        "GRACE_SECONDS": str(GRACE_SECONDS),
        "DB_POOL_SIZE": str(config.database_pool_size),
    }
    if origins := _origins(config):
        common["ALLOWED_ORIGINS"] = ",".join(origins)
    if config.legacy_tokens is not None:
        common["LEGACY_TOKEN_SECRET_FILE"] = f"{LEGACY_PATH}/legacy_token_secret"
        common["LEGACY_UNTIL"] = config.legacy_tokens.until
    own = {AUTH: _auth, CHAT: _chat, NOTIFICATIONS: _notifications}[application]
    named = {f"STAMPCHAT_{name}": value for name, value in {**common, **own(config)}.items()}
    # OpenTelemetry's own variable; without it no trace is made.
    return named | ({"OTEL_EXPORTER_OTLP_ENDPOINT": config.otlp_endpoint} if config.otlp_endpoint else {})


def migrate_settings(application: Application, config: StackConfig) -> dict[str, str]:
    """Build what the migration is told besides, which the serving container is not."""
    if not _has_migrating_role(application, config):
        return {}
    return {"STAMPCHAT_MIGRATE_DATABASE_URL_FILE": f"{MIGRATE_PATH}/database_url"}


def mounts(application: Application, config: StackConfig) -> list[Mount]:
    """List what a service's containers see."""
    mounted = [
        secret_mount("secrets", SECRETS_PATH, application.secret),
        secret_mount("internal", INTERNAL_PATH, INTERNAL_SECRET),
        config_map_mount("token-keys", TOKEN_KEYS_PATH, TOKEN_KEYS),
        scratch_mount("tmp", "/tmp"),  # noqa: S108  # the container's own
    ]
    if config.legacy_tokens is not None:
        mounted.append(secret_mount("legacy", LEGACY_PATH, LEGACY_SECRET))
    if application == NOTIFICATIONS and config.push == "fcm":
        mounted.append(secret_mount("firebase", FIREBASE_PATH, FIREBASE_SECRET))
    if application == CHAT and config.bus.url is not None:
        mounted.append(secret_mount("bus", BUS_PATH, BUS_SECRET))
    if config.hosted is not None and config.hosted.database_ca:
        mounted.append(config_map_mount(DATABASE_CA, DATABASE_CA_PATH, DATABASE_CA))
    return mounted


def migrate_mounts(application: Application, config: StackConfig) -> list[Mount]:
    """List what the migration alone sees besides."""
    has_role = _has_migrating_role(application, config)
    return [secret_mount("migrate", MIGRATE_PATH, application.migrate_secret)] if has_role else []


def mounted_sources(application: Application, config: StackConfig) -> list[str]:
    """Name the Secrets and ConfigMaps that a service mounts; when one changes, its pods roll."""
    every = [*mounts(application, config), *migrate_mounts(application, config)]
    sources = [source for mount in every if (source := mount.source) is not None]
    return [str(body.get("secretName") or body["name"]) for kind, body in sources if kind != "emptyDir"]


def _has_migrating_role(application: Application, config: StackConfig) -> bool:
    return config.hosted is not None and application.key in config.hosted.migrate_databases


def _auth(config: StackConfig) -> dict[str, str]:
    own = {
        "PRIVATE_KEY_FILE": f"{SECRETS_PATH}/private_key",
        "CHAT_INTERNAL_URL": f"http://{CHAT.name}:{CHAT.internal_port}",
        "CHAT_PUBLIC_URL": f"http://{CHAT.name}:{CHAT.public_port}",
        "NOTIFICATIONS_INTERNAL_URL": f"http://{NOTIFICATIONS.name}:{NOTIFICATIONS.internal_port}",
        "LOGIN": ",".join(config.login),
    }
    if config.firebase_project_id:
        own["FIREBASE_PROJECT_ID"] = config.firebase_project_id
    if config.web is not None:
        own["WEB_DIR"] = PAGE_FOLDER
        if config.web.firebase is not None:
            own["WEB_FIREBASE_API_KEY"] = config.web.firebase.api_key
    return own


def _origins(config: StackConfig) -> list[str]:
    """List the pages that may open sockets: those of the config, and our own."""
    own: list[str] = []
    if config.web is not None:
        parts = urlsplit(config.url)
        own.append(f"{parts.scheme}://{parts.netloc}".lower())
        if parts.hostname == "127.0.0.1":
            own.append(f"{parts.scheme}://{parts.netloc.replace('127.0.0.1', 'localhost')}")
    return list(dict.fromkeys([*own, *config.allowed_origins]))


def _chat(config: StackConfig) -> dict[str, str]:
    own = {
        "SECRET_KEY_BASE_FILE": f"{SECRETS_PATH}/secret_key_base",
        "NOTIFICATIONS_INTERNAL_URL": f"http://{NOTIFICATIONS.name}:{NOTIFICATIONS.internal_port}",
        "BUS": config.bus.kind,
        "BUS_NAME": config.bus.name,
    }
    return own | ({"BUS_URL_FILE": f"{BUS_PATH}/url"} if config.bus.url is not None else {})


def _notifications(config: StackConfig) -> dict[str, str]:
    own: dict[str, str] = {"PUSH": config.push}
    if config.push == "fcm":
        own["FIREBASE_SERVICE_ACCOUNT_FILE"] = f"{FIREBASE_PATH}/firebase_service_account"
    return own
