"""What is in the images, and what is not."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deployer.images.conftest import Opened

NAMES = ("services", "postgres", "gateway")
OpenImage = Callable[[str], Opened]


@pytest.mark.parametrize("name", NAMES)
def test_nobody_is_root(opened: OpenImage, name: str) -> None:
    image = opened(name)
    assert image.config["config"]["User"] == "10001:10001"
    assert "stampchat:x:10001:10001:" in (image.root / "etc/passwd").read_text(encoding="utf-8")
    assert [path for path in image.root.rglob("*") if path.lstat().st_mode & 0o6000] == []


@pytest.mark.parametrize("name", NAMES)
def test_all_stand_on_one_base_layer(opened: OpenImage, name: str) -> None:
    assert opened(name).layers[0] == opened("services").layers[0]
    root = opened(name).root
    assert [str((root / link).readlink()) for link in ("bin", "lib", "lib64", "sbin")] == [
        "usr/bin",
        "usr/lib",
        "usr/lib64",
        "usr/sbin",
    ]
    assert (root / "tmp").stat().st_mode & 0o7777 == 0o1777
    assert (root / "etc/ssl/certs/ca-certificates.crt").read_text(encoding="utf-8").count("BEGIN CERTIFICATE") > 100


@pytest.mark.parametrize("name", NAMES)
def test_every_shared_library_is_there(opened: OpenImage, name: str) -> None:
    root = opened(name).root
    missing = {str(path.relative_to(root)): lost for path in _programs(root) if (lost := _missing(root, path))}
    assert missing == {}


@pytest.mark.parametrize("name", ["services", "gateway"])
def test_there_is_no_shell_and_no_package_manager(opened: OpenImage, name: str) -> None:
    programs = {path.name for path in (opened(name).root / "usr/bin").iterdir()}
    assert programs == {"services": {"python3.11"}, "gateway": {"traefik"}}[name]


def test_the_code_layer_holds_code_alone(opened: OpenImage) -> None:
    files = [path for path in (opened("services").root / "app/services").rglob("*") if path.is_file()]
    assert {path.suffix for path in files} <= {".py", ".sql", ".pyc"}
    assert [path for path in files if "tests" in path.parts] == []
    sources = [path for path in files if path.suffix == ".py"]
    compiled = [path for path in files if path.suffix == ".pyc"]
    assert len(sources) == len(compiled) > 10


def test_bytecode_is_never_checked_against_its_source(opened: OpenImage) -> None:
    root = opened("services").root
    for folder in ("app/services", "app/site/aiohttp", "usr/lib/python3.11/asyncio"):
        (compiled,) = (root / folder / "__pycache__").glob("__init__.*.pyc")
        assert compiled.read_bytes()[4:8] == b"\x01\0\0\0"  # https://peps.python.org/pep-0552/: hash-based, unchecked


@pytest.mark.parametrize("name", NAMES)
def test_no_path_of_this_machine_is_in_an_image(opened: OpenImage, name: str) -> None:
    root = opened(name).root
    told = [
        path for path in root.rglob("*.pyc") if b"/tmp/" in path.read_bytes() and b"stampchat-" in path.read_bytes()
    ]
    assert told == []


def test_postgres_ends_quickly_and_keeps_its_folders_to_itself(opened: OpenImage) -> None:
    image = opened("postgres")
    assert image.config["config"]["StopSignal"] == "SIGINT"
    for folder in ("var/lib/postgresql/data", "run/postgresql"):
        assert (image.root / folder).stat().st_mode & 0o777 == 0o700


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may chroot")
def test_python_runs_with_all_that_the_services_import(opened: OpenImage) -> None:
    image = opened("services")
    program = (
        "import aiohttp, asyncpg, jwt, uvloop, msgspec, ssl\n"
        "import prometheus_client, uuid, zoneinfo, ctypes, services, os\n"
        "from cryptography.hazmat.primitives.asymmetric import ed25519\n"
        "print(len(ssl.create_default_context().get_ca_certs()) > 100, zoneinfo.ZoneInfo('Europe/Berlin'))\n"
        "print(os.getuid(), aiohttp.__cached__, services.__file__)\n"
    )
    environment = dict(entry.split("=", 1) for entry in image.config["config"]["Env"])
    done = _chroot(image.root, ["/usr/bin/python3.11", "-W", "error", "-c", program], environment)
    assert done.stdout.splitlines() == [
        "True Europe/Berlin",
        "10001 /app/site/aiohttp/__pycache__/__init__.cpython-311.pyc /app/services/__init__.py",
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may chroot")
def test_traefik_runs(opened: OpenImage) -> None:
    done = _chroot(opened("gateway").root, ["/usr/bin/traefik", "version"], {})
    assert "Version:      3." in done.stdout


def _chroot(root: Path, command: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    full = ["/usr/sbin/chroot", "--userspec=10001:10001", str(root), *command]
    done = subprocess.run(full, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return done


def _programs(root: Path) -> list[Path]:
    """Return every dynamically linked program and library."""
    files = [path for path in root.rglob("*") if path.is_file() and not path.is_symlink()]
    return [path for path in files if _reads(path, 4) == b"\x7fELF" and b".dynamic" in path.read_bytes()]


def _reads(path: Path, count: int) -> bytes:
    with path.open("rb") as file:
        return file.read(count)


def _missing(root: Path, path: Path) -> list[str]:
    """Ask the image's own loader which libraries it cannot find in the image, or finds outside of it."""
    (libraries,) = (root / "usr/lib").glob("*-linux-gnu")
    (loader,) = libraries.glob("ld-linux-*.so.*")
    command = [str(loader), "--library-path", str(libraries), "--list", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    found = [line.partition(" => ") for line in done.stdout.splitlines() if " => " in line]
    return [name.strip() for name, _, where in found if not where.startswith(str(root))]
