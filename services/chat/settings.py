"""Read the settings of the chat service."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.chat.bus.settings import BusSettings, load_bus
from services.chat.feature_limits import FeatureLimits, load_feature_limits
from services.chat.limits import Limits, load_limits
from services.legacy_tokens import LegacyTokens, load_legacy_tokens
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
from services.tokens import PublicKeys, load_public_keys

PUBLIC_PORT = 4000
INTERNAL_PORT = 4010


@dataclass(frozen=True)
class ChatSettings:
    """Hold all that the chat service is told.

    Attributes:
        server: where it listens.
        database: where it stores.
        credential: what its internal port asks for, and what it shows the notifications service.
        token_keys: the public keys whose tokens are good.
        secret_key_base: from which it derives keys for what it hands out and takes back.
        notifications_url: the notifications service's internal port.
        allowed_origins: the web pages whose sockets are welcome; an app sends no Origin and always is.
        limits: what users may do at most.
        feature_limits: what they may do at most beyond the original.
        owns_sockets: whether a socket is ours after its upgrade (services.chat.line), or aiohttp's.
        tunes_scheduling: whether its loop is scheduled as suits it (services.scheduling); not where others share it.
        legacy_tokens: what judges the tokens of the system before ours, for a while after moving.
        bus: how the replicas tell each other.
    """

    server: ServerSettings
    database: DatabaseSettings
    credential: Secret
    token_keys: PublicKeys
    secret_key_base: Secret
    notifications_url: str
    allowed_origins: frozenset[str]
    limits: Limits
    feature_limits: FeatureLimits = field(default_factory=FeatureLimits)
    owns_sockets: bool = True
    tunes_scheduling: bool = False
    legacy_tokens: LegacyTokens | None = None
    bus: BusSettings = BusSettings()  # noqa: RUF009  # it cannot be changed


def load_settings(source: Source) -> ChatSettings:
    """Read every setting; source.finish() then says what is wrong."""
    server = load_server(source, public_port=PUBLIC_PORT, internal_port=INTERNAL_PORT)
    return ChatSettings(
        server=server,
        database=load_database(source),
        credential=load_internal_credential(source),
        token_keys=load_public_keys(source),
        secret_key_base=source.secret_file("SECRET_KEY_BASE_FILE", least=MIN_SECRET),
        notifications_url=source.url("NOTIFICATIONS_INTERNAL_URL"),
        allowed_origins=server.allowed_origins,
        limits=load_limits(source),
        feature_limits=load_feature_limits(source),
        owns_sockets=source.choice("SOCKET_HANDLER", ("own", "aiohttp"), "own") == "own",
        tunes_scheduling=source.choice("SCHEDULING", ("tuned", "system"), "tuned") == "tuned",
        legacy_tokens=load_legacy_tokens(source),
        bus=load_bus(source),
    )
