"""Take a bundle's parts into the cache: all of them, verified, or none."""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deployer.bundle.manifest import CACHE, NAME, WHEELS, Manifest, ManifestError, Packet, describe_here, parse_manifest
from deployer.disk import check_disk
from deployer.errors import DeployError, UsageError
from deployer.fetch.atomic import exclusive, replace_folder, settle, staging
from deployer.fetch.debian import adopt
from deployer.fetch.seal import is_intact, seal, seal_folder
from deployer.needs import find_needs
from deployer.report import Report
from deployer.workspace import Workspace

VARIABLE = "STAMPCHAT_BUNDLE"
_INDEX = f"{CACHE}/debian/index.json"
_LONGEST_MANIFEST = 1 << 20
_CHUNK = 1 << 20
# The cache keeps files two deep, and folders that are whole or not there.
_UNIT = 2


@dataclass(frozen=True)
class Used:
    """Say what came of a bundle.

    Attributes:
        path: the bundle.
        files: how many it has.
        taken: how many of them the cache lacked.
    """

    path: Path
    files: int
    taken: int


def use_what_is_named(workspace: Workspace, report: Report, environ: Mapping[str, str] = os.environ) -> str:
    """Take in the bundle that STAMPCHAT_BUNDLE names, unless the cache has all of it; say what was done.

    Raises:
        DeployError: it cannot be used here.
    """
    if not find_needs(workspace).all:
        return "not opened: the cache has everything"
    used = use_bundle(workspace, Path(environ[VARIABLE]), report)
    return f"{used.taken} files from {used.path}"


def use_bundle(workspace: Workspace, path: Path, report: Report) -> Used:
    """Verify a bundle and put into the cache what it lacks.

    Args:
        workspace: whose cache.
        path: the bundle.
        report: where progress goes.

    Raises:
        UsageError: there is none, or it is for another machine or another version of this checkout.
        DeployError: it is cut short or damaged, or the disk is full; the cache is as it was.
    """
    with _opened(path) as archive:
        manifest = _read_manifest(path, archive)
        _refuse_foreign(path, manifest, describe_here(workspace.root))
        check_disk(workspace.cache, manifest.size, "the bundle's parts")
        target = workspace.cache / "bundle"
        with exclusive(target), staging(target) as fresh:
            _unpack(path, archive, manifest, fresh, report)
            python = fresh / CACHE / "python" / f"{manifest.lock}-{manifest.python}"
            python.parent.mkdir(parents=True, exist_ok=True)
            (fresh / WHEELS).rename(python)
            index = json.loads((fresh / _INDEX).read_text(encoding="utf-8"))
            (fresh / _INDEX).unlink()
            taken = _move(fresh / CACHE, workspace.cache)
            adopt(index, cache=workspace.cache)
    return Used(path, len(manifest.packets), taken)


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, "r|gz") as archive:
            yield archive
    except FileNotFoundError as error:
        if error.filename != str(path):
            raise
        raise UsageError(f"There is no bundle {path}.", advice="`./stampchat bundle FILE` makes one.") from error
    except (tarfile.TarError, zlib.error, EOFError) as error:
        raise damaged(path, str(error)) from error


def damaged(path: Path, said: str) -> DeployError:
    """Say that a bundle did not arrive as it was made."""
    return DeployError(
        f"{path} is cut short or damaged, or no bundle: {said}.",
        advice="Nothing was taken from it. Copy it again, and compare `sha256sum` with what `bundle` printed.",
    )


def _read_manifest(path: Path, archive: tarfile.TarFile) -> Manifest:
    member = archive.next()
    content = archive.extractfile(member) if member is not None and member.name == NAME else None
    if content is None:
        raise damaged(path, "it does not begin with a manifest")
    try:
        return parse_manifest(content.read(_LONGEST_MANIFEST).decode())
    except (ManifestError, UnicodeDecodeError) as error:
        raise damaged(path, f"its manifest cannot be read ({error})") from error


def _refuse_foreign(path: Path, manifest: Manifest, here: Manifest) -> None:
    if (manifest.system, manifest.machine) != (here.system, here.machine):
        raise UsageError(
            f"{path} is for {manifest.system} on {manifest.machine}, and this is {here.system} on {here.machine}.",
            advice="Nothing was taken from it. Make one on a machine like this: `./stampchat bundle FILE`.",
        )
    if (manifest.version, manifest.lock, manifest.sources) != (here.version, here.lock, here.sources):
        raise UsageError(
            f"{path} was made from another version of this checkout ({manifest.version}; here {here.version}): what it "
            "has is not what this one looks for.",
            advice="Nothing was taken from it. Make one from the same commit, or check out the commit that it is of.",
        )


def _unpack(path: Path, archive: tarfile.TarFile, manifest: Manifest, into: Path, report: Report) -> None:
    wanted = {packet.path: packet for packet in manifest.packets}
    while (member := archive.next()) is not None:
        packet = wanted.pop(member.name, None)
        if packet is None or not member.isreg() or member.size != packet.size:
            raise damaged(path, f"{member.name} is not what the manifest says")
        report.note(f"unpacking {member.name.rpartition('/')[2]}")
        _save(path, archive, member, packet, into / member.name)
    if wanted:
        raise damaged(path, f"it lacks {next(iter(wanted))} and {len(wanted) - 1} others")


def _save(path: Path, archive: tarfile.TarFile, member: tarfile.TarInfo, packet: Packet, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = archive.extractfile(member)
    assert source is not None  # noqa: S101  # a regular file has content
    digest = hashlib.sha256()
    with source, target.open("wb") as file:
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != packet.sha256:
        raise damaged(path, f"the SHA-256 of {member.name} is {digest.hexdigest()}, not {packet.sha256}")
    target.chmod(0o755 if member.mode & 0o100 else 0o644)


def _move(fresh: Path, cache: Path) -> int:
    """Move what the cache lacks, or has damaged; every name there says what is in it, so what is there is as good."""
    taken = 0
    files = [file.relative_to(fresh) for file in sorted(fresh.rglob("*")) if file.is_file()]
    # A record beside an archive says that it is whole.
    for file in sorted(files, key=lambda file: file.suffix == ".json"):
        unit = Path(*PurePosixPath(file).parts[:_UNIT])
        if not (fresh / file).exists():  # moved with its folder
            continue
        (cache / unit).parent.mkdir(parents=True, exist_ok=True)
        if unit == file:
            if not is_intact(cache / file):
                taken += 1
                settle(fresh / file, cache / file)
                seal(cache / file)
        elif not (cache / file).exists() or (cache / file).stat().st_size != (fresh / file).stat().st_size:
            taken += sum(1 for path in (fresh / unit).rglob("*") if path.is_file())
            replace_folder(fresh / unit, cache / unit)
            seal_folder(cache / unit)
    return taken
