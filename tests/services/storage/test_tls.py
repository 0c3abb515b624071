"""Ask a real Postgres with TLS for its certificate, as a hosted database is asked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from deployer.report import Silent
from deployer.secrets.catalogue import AUTH_DATABASE
from deployer.secrets.probe import probe_all
from services.database import open_database
from services.errors import DatabaseUnavailable, MigrationError
from services.migrations import migrate
from tests.ports import free_port
from tests.services.postgres import PostgresServer, give
from tests.services.storage.certificates import Authority
from tests.services.storage.conftest import in_database
from tests.services.storage.debian import bring_postgres
from tests.services.storage.house import SERVICES

PASSWORD = "p@ss/word?#%"
QUOTED = "p%40ss%2Fword%3F%23%25"


@dataclass(frozen=True)
class Secured:
    """Be a server that admits a role of no great power, by its password, over TLS alone."""

    server: PostgresServer
    port: int
    trusted: Authority
    other: Authority

    async def show(self, certificate: Path, key: Path) -> None:
        """Let new connections see another certificate."""
        connection = await asyncpg.connect(self.server.url("postgres"))
        await connection.execute(f"ALTER SYSTEM SET ssl_cert_file = '{certificate}'")
        await connection.execute(f"ALTER SYSTEM SET ssl_key_file = '{key}'")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()

    def url(self, authority: Authority, *, host: str = "localhost", mode: str = "verify-full") -> str:
        """Return the address with which the services would be set up."""
        options = f"sslmode={mode}&sslrootcert={authority.file}"
        return f"postgresql://app:{QUOTED}@{host}:{self.port}/app?{options}"


@pytest.fixture(scope="module")
def server() -> Iterator[Secured]:
    """Run Debian's Postgres, since the wheel's knows no TLS."""
    port = free_port()
    server = PostgresServer({"listen_addresses": "127.0.0.1", "port": str(port)})
    try:
        server.folder.chmod(0o755)
        (server.folder / "debian").mkdir()
        server.use(bring_postgres(server.folder / "debian"))
        certificates = server.folder / "certificates"
        certificates.mkdir()
        give(certificates)
        trusted, other = Authority(certificates, "trusted"), Authority(certificates, "other")
        certificate, key = trusted.issue("localhost")
        server.settings |= {"ssl": "on", "ssl_cert_file": str(certificate), "ssl_key_file": str(key)}
        server.make()
        (server.data / "pg_hba.conf").write_text("local all all trust\nhostssl all all 127.0.0.1/32 scram-sha-256\n")
        # What the command line says cannot be changed later, and a test shows other certificates.
        with (server.data / "postgresql.conf").open("a") as conf:
            for name in ("ssl", "ssl_cert_file", "ssl_key_file"):
                conf.write(f"{name} = '{server.settings.pop(name)}'\n")
        server.start()
        yield Secured(server, port, trusted, other)
    finally:
        server.remove()


@pytest.fixture
async def secured(server: Secured) -> AsyncIterator[Secured]:
    """Make the role and its empty database."""
    await server.show(*server.trusted.issue("localhost"))
    admin = await asyncpg.connect(server.server.url("postgres"))
    await admin.execute(f"CREATE ROLE app LOGIN PASSWORD '{PASSWORD}' NOSUPERUSER NOCREATEDB NOCREATEROLE")
    await admin.execute("CREATE DATABASE app OWNER app")
    yield server
    await admin.execute("DROP DATABASE app WITH (FORCE)")
    await admin.execute("DROP ROLE app")
    await admin.close()


@pytest.mark.parametrize("service", SERVICES)
async def test_services_migrate_and_connect_with_verify_full(secured: Secured, service: str) -> None:
    """The connection is encrypted and the role is no superuser."""
    settings = in_database(secured.url(secured.trusted))

    assert await migrate(settings, SERVICES[service].migrations)

    async with open_database(settings) as database, database.connection() as connection:
        assert await connection.fetchval("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
        assert not await connection.fetchval("SELECT usesuper FROM pg_user WHERE usename = current_user")


@pytest.mark.parametrize(
    ("shown", "authority", "reason"),
    [
        (("localhost", 10), "other", "unable to get local issuer certificate|self-signed certificate"),
        (("db.example.com", 10), "trusted", "Hostname mismatch"),
        (("localhost", -1), "trusted", "certificate has expired"),
    ],
    ids=["another authority", "another host name", "expired"],
)
async def test_a_certificate_that_is_not_trusted_is_refused_at_once_and_said(
    secured: Secured, tmp_path: Path, shown: tuple[str, int], authority: str, reason: str
) -> None:
    """Migrations end instead of waiting, readiness names the reason, a caller hears that the database is away."""
    await secured.show(*secured.trusted.issue(shown[0], days=shown[1]))
    settings = in_database(secured.url(getattr(secured, authority)))

    async with asyncio.timeout(60):
        # A new certificate is shown a moment after the server was told to read it.
        while (said := await _refusal(settings.url.reveal())) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    assert said
    with pytest.raises(MigrationError, match=f"cannot be used: its certificate is not trusted: .*({reason})") as raised:
        await migrate(settings, tmp_path)
    async with open_database(settings) as database:
        with pytest.raises(DatabaseUnavailable, match=reason):
            await database.ping()
        with pytest.raises(DatabaseUnavailable, match=r"^The database does not answer"):
            async with database.connection():
                pass
    assert QUOTED not in str(raised.value)
    assert PASSWORD not in str(raised.value)


async def test_a_server_without_tls_is_refused(secured: Secured, tmp_path: Path) -> None:
    """A password is not sent to whoever answers."""
    connection = await asyncpg.connect(secured.server.url("postgres"))
    await connection.execute("ALTER SYSTEM SET ssl = off")
    await connection.execute("SELECT pg_reload_conf()")
    try:
        while await connection.fetchval("SHOW ssl") == "on":  # noqa: ASYNC110  # it reads its settings in a moment
            await asyncio.sleep(0.02)
        with pytest.raises(MigrationError, match="rejected SSL upgrade"):
            await migrate(in_database(secured.url(secured.trusted), migrate_seconds=1), tmp_path)
    finally:
        await connection.execute("ALTER SYSTEM RESET ssl")
        await connection.execute("SELECT pg_reload_conf()")
        await connection.close()


async def test_a_wrong_password_is_refused_at_once(secured: Secured, tmp_path: Path) -> None:
    """The error names the user and not what was tried."""
    url = secured.url(secured.trusted).replace(QUOTED, "wrong-password")

    with pytest.raises(MigrationError, match='password authentication failed for user "app"') as raised:
        await migrate(in_database(url), tmp_path)

    assert "wrong-password" not in str(raised.value)


@pytest.mark.parametrize(
    ("changed", "said", "problem"),
    [
        ((), "the password is right", ""),
        ((QUOTED, "wrong-password"), "", 'refuses the password: password authentication failed for user "app"'),
        (("/app?", "/elsewhere?"), "", 'has no such database: database "elsewhere" does not exist'),
        (("//app:", "//nobody:"), "", 'refuses the password: password authentication failed for user "nobody"'),
    ],
)
async def test_the_commands_ask_with_the_password(
    secured: Secured, changed: tuple[str, str] | tuple[()], said: str, problem: str
) -> None:
    """And tell what of an address is wrong, before anything is deployed."""
    url = secured.url(secured.trusted).replace(*changed) if changed else secured.url(secured.trusted)

    answers = await asyncio.to_thread(probe_all, {AUTH_DATABASE: url}, Silent())

    assert said in answers[AUTH_DATABASE].said
    assert problem in answers[AUTH_DATABASE].problem
    assert not [word for word in ("wrong-password", QUOTED, PASSWORD) if word in repr(answers)]


async def test_a_user_without_name_or_home_on_a_read_only_disk_connects(secured: Secured, tmp_path: Path) -> None:
    """As in a pod: an arbitrary uid, no HOME, nothing that can be written."""
    if os.geteuid() != 0:
        pytest.skip("NOT TESTED: only root can make this machine's disk read-only for a process")
    file = tmp_path / "url"
    file.write_text(secured.url(secured.trusted))
    secured.server.folder.chmod(0o755)
    command = [sys.executable, "-m", "services.chat", "migrate"]
    script = 'mount -o remount,ro,bind / && cd "$0" && exec setpriv --reuid 12345 --regid 12345 --clear-groups "$@"'
    environ = {"STAMPCHAT_DATABASE_URL_FILE": str(file), "PYTHONDONTWRITEBYTECODE": "1", "PATH": os.environ["PATH"]}
    for folder in (tmp_path, *tmp_path.parents):
        if folder.owner() == "root" and folder != Path("/") and folder != Path("/tmp"):
            folder.chmod(0o755)

    done = await asyncio.to_thread(
        subprocess.run,
        ["unshare", "--mount", "sh", "-c", script, str(Path.cwd()), *command],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "the database is up to date" in done.stdout + done.stderr


async def _refusal(url: str) -> str | None:
    """Return why a connection was refused for its certificate; None when it was not."""
    try:
        connection = await asyncpg.connect(url)
    except OSError as error:
        return str(error)
    await connection.close()
    return None
