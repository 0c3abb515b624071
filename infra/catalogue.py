"""Name what is deployed: services, their ports, secrets, databases and mounts, the original's where it had them."""

from __future__ import annotations

from dataclasses import dataclass

NAMESPACE = "stampchat"
GATEWAY_NAMESPACE = "stampchat-gateway"
DNS_NAMESPACE = "kube-system"

GATEWAY = "gateway"
# High ports, so that the gateway needs no privilege; a Gateway's listener has the port of Traefik's entry point.
WEB_PORT = 8000
WEB_TLS_PORT = 8443
GATEWAY_HEALTH_PORT = 8081
TLS_SECRET = "stampchat-tls"  # noqa: S105  # a name

# cert-manager's short-lived pods that answer an ACME challenge.
SOLVER_LABELS = {"acme.cert-manager.io/http01-solver": "true"}
SOLVER_PORT = 8089
ACME_PATH = "/.well-known/acme-challenge/"

MOUNTS = "/run/stampchat"
SECRETS_PATH = f"{MOUNTS}/secrets"
INTERNAL_PATH = f"{MOUNTS}/internal"
TOKEN_KEYS_PATH = f"{MOUNTS}/token-keys"
FIREBASE_PATH = f"{MOUNTS}/firebase"
LEGACY_PATH = f"{MOUNTS}/legacy"
MIGRATE_PATH = f"{MOUNTS}/migrate"
BUS_PATH = f"{MOUNTS}/bus"
DATABASE_CA_PATH = f"{MOUNTS}/database-ca"
DATABASE_CA_FILE = f"{DATABASE_CA_PATH}/ca.pem"

# The web page: where the image has it, and the paths under which auth serves it, its document's and its files'.
PAGE_FOLDER = "/app/web"
PAGE_PATH = "/"
PAGE_FILES = "/web/"

INTERNAL_SECRET = "internal-credential"  # noqa: S105  # a name
FIREBASE_SECRET = "firebase-secret"  # noqa: S105  # a name
LEGACY_SECRET = "legacy-token-secret"  # noqa: S105  # a name
BUS_SECRET = "bus-secret"  # noqa: S105  # a name
PULL_SECRET = "image-pull-secret"  # noqa: S105  # a name
TOKEN_KEYS = "token-keys"  # noqa: S105  # a name
DATABASE_CA = "database-ca"

POSTGRES_PORT = 5432
DATABASE_NAME = "stamp_chat"
DATABASE_USER = "stamp_chat"


@dataclass(frozen=True)
class Application:
    """Name one of the three services.

    Attributes:
        key: the word for it in config and in paths.
        name: its Deployment and Service, the original's.
        module: what Python runs.
        public_port: what the gateway reaches.
        internal_port: what only machines reach.
        secret: its own Secret, the original's.
        database: its database's StatefulSet and Service in stack dev.
    """

    key: str
    name: str
    module: str
    public_port: int
    internal_port: int
    secret: str
    database: str

    @property
    def prefix(self) -> str:
        """The path under which the gateway serves it, which the gateway takes off."""
        return f"/{self.key}/"

    @property
    def migrate_secret(self) -> str:
        """The Secret with its database's address for the role that migrates, where there is one."""
        return self.secret.replace("-secret", "-migrate-secret")

    @property
    def database_secret(self) -> str:
        """The Secret that holds its database's password in stack dev."""
        return f"{self.database}-password"


AUTH = Application(
    key="auth",
    name="stamp-chat-auth",
    module="services.auth",
    public_port=3000,
    internal_port=3010,
    secret="auth-stamp-chat-secret",  # noqa: S106  # a name
    database="db-stamp-chat-auth",
)
CHAT = Application(
    key="chat",
    name="stamp-chat-channels",
    module="services.chat",
    public_port=4000,
    internal_port=4010,
    secret="channels-stamp-chat-secret",  # noqa: S106  # a name
    database="db-stamp-chat-channel",
)
NOTIFICATIONS = Application(
    key="notifications",
    name="stamp-chat-notifications",
    module="services.notifications",
    public_port=3001,
    internal_port=3011,
    secret="notifications-stamp-chat-secret",  # noqa: S106  # a name
    database="db-stamp-chat-notifications",
)
APPLICATIONS = (AUTH, CHAT, NOTIFICATIONS)


@dataclass(frozen=True)
class Call:
    """Record that one service calls another.

    Attributes:
        caller: who opens the connection.
        callee: who answers.
        port: on which of the callee's ports.
    """

    caller: Application
    callee: Application
    port: int


# Every call between the services; the network is closed to all others.
CALLS = (
    Call(AUTH, CHAT, CHAT.internal_port),
    # Auth's /test-chat passes on chat's public /test.
    Call(AUTH, CHAT, CHAT.public_port),
    # An account that is deleted.
    Call(AUTH, NOTIFICATIONS, NOTIFICATIONS.internal_port),
    Call(CHAT, NOTIFICATIONS, NOTIFICATIONS.internal_port),
)
