"""Stand in for hosted databases: a real Postgres with TLS outside the cluster, one database and one role a service."""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

from tests.ports import free_port
from tests.services.postgres import PostgresServer, give
from tests.services.storage.certificates import Authority
from tests.services.storage.debian import bring_postgres

SERVICES = ("auth", "chat", "notifications")
# Three services share the server, each with four pods at most, one more while they are replaced, and seven connections
# a pod; a pod of chat has one besides, and ten are kept back.
CONNECTIONS = 120
NAME = "databases.stampchat.internal"


@dataclass
class HostedDatabases:
    """Be a server that admits one role a database, by its password, over TLS alone.

    Args:
        address: of this machine, where the cluster reaches it.
        network: whence it is reached.

    Attributes:
        authority: the file of who signed the server's certificate.
        port: where it listens.
    """

    address: str
    network: str
    port: int = field(default_factory=free_port)
    authority: Path = field(init=False)

    def __post_init__(self) -> None:
        settings = {"listen_addresses": self.address, "port": str(self.port), "max_connections": str(CONNECTIONS)}
        self.server = PostgresServer(settings)
        self._passwords = {service: secrets.token_urlsafe(24) for service in SERVICES}

    def start(self) -> None:
        """Make the server, its certificate, and a role and a database for each service."""
        self.server.folder.chmod(0o755)
        # The wheel's Postgres knows no TLS.
        (self.server.folder / "debian").mkdir()
        self.server.use(bring_postgres(self.server.folder / "debian"))
        certificates = self.server.folder / "certificates"
        certificates.mkdir()
        give(certificates)
        authority = Authority(certificates, "databases")
        self.authority = authority.file
        certificate, key = authority.issue(NAME)
        self.server.settings |= {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
        self.server.make()
        rules = f"local all all trust\nhostssl all all {self.network} scram-sha-256\n"
        (self.server.data / "pg_hba.conf").write_text(rules)
        self.server.start()
        asyncio.run(self._make_databases())

    def url(self, service: str) -> str:
        """Return the address that a user would be given for a service's database."""
        place = f"{NAME}:{self.port}/{service}"
        return f"postgresql://{service}:{self._passwords[service]}@{place}?sslmode=verify-full"

    def remove(self) -> None:
        """End the server and forget its data."""
        self.server.remove()

    async def _make_databases(self) -> None:
        admin = await asyncpg.connect(self.server.url("postgres"))
        try:
            for service, password in self._passwords.items():
                await admin.execute(f"CREATE ROLE {service} LOGIN PASSWORD '{password}'")
                await admin.execute(f"CREATE DATABASE {service} OWNER {service}")
        finally:
            await admin.close()
