"""Make a bundle on a machine that has a network."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import subprocess
import sys
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from deployer import cluster, images
from deployer.bundle.manifest import CACHE, LOCK, NAME, WHEELS, Manifest, Packet, describe_here, lock_key
from deployer.disk import check_disk
from deployer.engine import ensure_engine
from deployer.errors import DeployError, ProcessError
from deployer.fetch.atomic import exclusive, replace_folder, settle, staging
from deployer.images import kept
from deployer.plugins import install
from deployer.report import Report
from deployer.steps import Display, Step, run_steps
from deployer.workspace import Workspace

# Most of it is packed already; more effort takes minutes and saves little.
_EFFORT = 1
_INDEX = "debian/index.json"


@dataclass(frozen=True)
class Packed:
    """Say what was made.

    Attributes:
        path: the bundle.
        size: in bytes.
        sha256: its checksum, to compare where it arrives.
        files: how many files it has.
    """

    path: Path
    size: int
    sha256: str
    files: int


def pack_bundle(workspace: Workspace, path: Path, display: Display) -> Packed:
    """Have all that `up` needs in the cache, and write it into one file, whole or not at all.

    Args:
        workspace: the checkout and the cache.
        path: the bundle, replaced if it is there.
        display: where progress goes.

    Raises:
        DeployError: something cannot be had here, or the file cannot be written.
    """
    files: list[Path] = []
    wheels: list[Path] = []
    made: list[Packed] = []

    def engine(report: Display) -> str:
        found = ensure_engine(workspace, report, on_path=False)
        files.extend(sorted(path for path in found.pulumi.parent.iterdir() if not path.name.startswith(".")))
        files.extend(install.files(workspace, report))
        return f"Pulumi {found.version} ({found.source})"

    def programs(report: Display) -> str:
        try:
            cluster.build_extras(workspace, report)
        except DeployError as error:  # a cluster does without until it is built
            report.line(str(error))
        files.extend(cluster.files(workspace, report))
        return "present"

    def build(report: Display) -> str:
        images.make_images(workspace, report)
        files.extend(kept.files(workspace, report))
        return "present"

    def python(report: Display) -> str:
        wheels.extend(ensure_wheels(workspace, report))
        return f"{len(wheels)} packages"

    def write(report: Display) -> str:
        made.append(write_bundle(workspace, path, wheels, list(dict.fromkeys(files)), report))
        return f"{made[0].size / 1e6:.0f} MB"

    steps = [
        Step("engine", "find or build the Pulumi engine", engine),
        Step("cluster", "build the cluster's programs", programs),
        Step("images", "build the container images", build),
        Step("python", "fetch the packages of .venv", python),
        Step("pack", "write the bundle", write),
    ]
    run_steps(steps, display)
    return made[0]


def wheel_folder(workspace: Workspace) -> Path:
    """Return where the launcher looks for the packages of .venv before it asks a registry."""
    return workspace.cache / "python" / f"{lock_key(workspace.root)}-{sys.version_info[0]}.{sys.version_info[1]}"


def ensure_wheels(workspace: Workspace, report: Report) -> list[Path]:
    """Fetch the packages of .venv for this machine's Python, by the lock's hashes.

    Args:
        workspace: the checkout and the cache.
        report: where progress goes.

    Raises:
        ProcessError: pip failed.
    """
    folder = wheel_folder(workspace)
    with exclusive(folder):
        if not folder.is_dir():
            report.note("fetching the Python packages of .venv")
            command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "download", "--quiet"]
            command += ["--no-deps", "--require-hashes", "--only-binary=:all:", "-r", str(workspace.root / LOCK)]
            with staging(folder) as fresh:
                full = [*command, "--dest", str(fresh / "wheels")]
                done = subprocess.run(full, capture_output=True, text=True, check=False)
                if done.returncode:
                    advice = "Check the network and pip's configuration, then run this again."
                    raise ProcessError(["pip", *full[3:]], status=done.returncode, output=done.stderr, advice=advice)
                replace_folder(fresh / "wheels", folder)
    return sorted(folder.glob("*.whl"))


def write_bundle(
    workspace: Workspace, path: Path, wheels: Iterable[Path], files: Iterable[Path], report: Report
) -> Packed:
    """Write what is in the cache into one file, whole or not at all.

    Args:
        workspace: the checkout and the cache.
        path: the bundle.
        wheels: the packages of .venv.
        files: of the cache.
        report: where progress goes.

    Raises:
        DeployError: it cannot be written, or the disk is full.
    """
    files = list(files)
    debs = [file for file in files if file.parent == workspace.cache / "debian"]
    contents: dict[str, Path | bytes] = {f"{WHEELS}/{wheel.name}": wheel for wheel in wheels}
    contents |= {f"{CACHE}/{file.relative_to(workspace.cache)}": file for file in files}
    contents[f"{CACHE}/{_INDEX}"] = _index(workspace.cache / _INDEX, {deb.name for deb in debs})
    packets = tuple(_packet(name, content) for name, content in contents.items())
    manifest = describe_here(workspace.root, packets)
    path = path.absolute()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_disk(path.parent, manifest.size, "the bundle's parts")
        with staging(path) as folder:
            fresh = folder / path.name
            _write_archive(fresh, manifest, contents, report)
            sha256 = _sum(fresh)
            settle(fresh, path)
    except OSError as error:
        raise DeployError(f"{path} cannot be written: {error.strerror}.", advice="Name another file.") from error
    return Packed(path, path.stat().st_size, sha256, len(packets))


def _write_archive(path: Path, manifest: Manifest, contents: dict[str, Path | bytes], report: Report) -> None:
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", compresslevel=_EFFORT, fileobj=raw, mtime=0) as packed,
        # Wheels have long names, which every tar reads in this form.
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        _add(archive, NAME, manifest.render().encode())
        for name, content in contents.items():
            report.note(f"packing {name.rpartition('/')[2]}")
            _add(archive, name, content)


def _add(archive: tarfile.TarFile, name: str, content: Path | bytes) -> None:
    member = tarfile.TarInfo(name)
    source: IO[bytes]
    if isinstance(content, bytes):
        member.size, member.mode = len(content), 0o644
        source = io.BytesIO(content)
    else:
        found = content.stat()
        member.size, member.mode = found.st_size, 0o755 if found.st_mode & 0o100 else 0o644
        source = content.open("rb")
    with source:
        archive.addfile(member, source)


def _index(path: Path, debs: set[str]) -> bytes:
    """Return those entries of the cache's list of Debian packages whose files go along."""
    known = json.loads(path.read_text(encoding="utf-8"))
    return json.dumps({name: file for name, file in known.items() if file in debs}, indent=1).encode()


def _packet(name: str, content: Path | bytes) -> Packet:
    if isinstance(content, bytes):
        return Packet(name, len(content), hashlib.sha256(content).hexdigest())
    return Packet(name, content.stat().st_size, _sum(content))


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
