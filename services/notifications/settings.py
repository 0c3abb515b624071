"""Read the settings of the notifications service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.legacy_tokens import LegacyTokens, load_legacy_tokens
from services.notifications.fcm import FCM_URL, SEND_SECONDS
from services.notifications.service_account import ServiceAccount, load_service_account
from services.settings import (
    DatabaseSettings,
    Secret,
    ServerSettings,
    Source,
    load_database,
    load_internal_credential,
    load_server,
)
from services.tokens import PublicKeys, load_public_keys

PUBLIC_PORT = 3001
INTERNAL_PORT = 3011
HOUR = 3600
DAY = 24 * HOUR


@dataclass(frozen=True)
class PushSettings:
    """Say how hard to try to push, and for how long.

    Attributes:
        workers: hands that send, each some at a time.
        ttl_seconds: how long a push is worth sending; FCM takes four weeks at most.
        tries: after so many it is given up, however young it is.
        lease_seconds: how long a crash may keep what a worker had in hand.
        keep_seconds: how long what was sent is remembered, so that handing it over again pushes nothing.
        dead_seconds: how long what was given up can be sent again.
    """

    workers: int = 4
    ttl_seconds: int = DAY
    tries: int = 100
    lease_seconds: int = 60
    keep_seconds: int = 2 * DAY
    dead_seconds: int = 14 * DAY


@dataclass(frozen=True)
class NotificationsSettings:
    """Hold all that the notifications service is told.

    Attributes:
        server: where it listens.
        database: where the devices are.
        credential: what its internal port asks for.
        token_keys: the public keys whose tokens are good.
        push: whether devices are reached at all.
        service_account: who we are for FCM; none when pushes are off.
        fcm_url: where FCM is.
        pushes: how hard to try.
        legacy_tokens: what judges the tokens of the system before ours, for a while after moving.
    """

    server: ServerSettings
    database: DatabaseSettings
    credential: Secret
    token_keys: PublicKeys
    push: Literal["off", "fcm"]
    service_account: ServiceAccount | None = None
    fcm_url: str = FCM_URL
    pushes: PushSettings = PushSettings()
    legacy_tokens: LegacyTokens | None = None


def load_settings(source: Source) -> NotificationsSettings:
    """Read every setting; source.finish() then says what is wrong."""
    fcm = source.choice("PUSH", ("off", "fcm")) == "fcm"
    return NotificationsSettings(
        server=load_server(source, public_port=PUBLIC_PORT, internal_port=INTERNAL_PORT),
        database=load_database(source),
        credential=load_internal_credential(source),
        token_keys=load_public_keys(source),
        push="fcm" if fcm else "off",
        service_account=load_service_account(source, "FIREBASE_SERVICE_ACCOUNT_FILE") if fcm else None,
        fcm_url=source.url("FCM_URL", FCM_URL),
        pushes=load_pushes(source),
        legacy_tokens=load_legacy_tokens(source),
    )


def load_pushes(source: Source) -> PushSettings:
    """Read how hard to try; each has a default."""
    usual = PushSettings()
    # A lease has to be longer than a try, or a slow one would be tried by two.
    shortest = int(SEND_SECONDS) + 5
    return PushSettings(
        workers=source.integer("PUSH_WORKERS", usual.workers, least=1, most=64),
        ttl_seconds=source.integer("PUSH_TTL_SECONDS", usual.ttl_seconds, least=60, most=28 * DAY),
        tries=source.integer("PUSH_TRIES", usual.tries, least=1, most=1000),
        lease_seconds=source.integer("PUSH_LEASE_SECONDS", usual.lease_seconds, least=shortest, most=HOUR),
        keep_seconds=source.integer("PUSH_KEEP_SECONDS", usual.keep_seconds, least=HOUR, most=90 * DAY),
        dead_seconds=source.integer("PUSH_DEAD_SECONDS", usual.dead_seconds, least=HOUR, most=365 * DAY),
    )
