"""Read the settings of the notifications service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from services.notifications.fcm import FCM_URL
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
    """

    server: ServerSettings
    database: DatabaseSettings
    credential: Secret
    token_keys: PublicKeys
    push: Literal["off", "fcm"]
    service_account: ServiceAccount | None = None
    fcm_url: str = FCM_URL


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
    )
