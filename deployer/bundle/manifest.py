"""Know what a bundle says of itself: for which machine and sources it is, and each file's checksum.

It is lines of words and not JSON, since the launcher reads it with a shell before there is a Python environment.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from deployer.versions import project_version

NAME = "manifest"
WHEELS = "wheels"
CACHE = "cache"
LOCK = "requirements.lock"
_FORMAT = "stampchat-bundle 1"
# What decides which files of the cache `up` looks for; of folders everything in them.
_SOURCES = (
    *("versions.toml", "debian-images.lock", LOCK, "requirements-services.lock", "requirements-images.lock"),
    *(
        "deployer/engine/go",
        "deployer/cluster/embedded/go",
        "deployer/images",
        "deployer/oci/layers.py",
        "web/package-lock.json",
    ),
)
_NO_SOURCE = frozenset({".pyc"})


class ManifestError(ValueError):
    """Say that a manifest is not one of ours."""


@dataclass(frozen=True)
class Packet:
    """Name one file of a bundle.

    Attributes:
        path: in the archive: "wheels/…" or "cache/…".
        size: in bytes.
        sha256: its checksum.
    """

    path: str
    size: int
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """Say what a bundle is for, and what is in it.

    Attributes:
        version: this project's.
        system: as `uname -s` says it.
        machine: as `uname -m` says it.
        python: the minor version that the wheels are for.
        lock: POSIX's cksum of requirements.lock and its length, with a hyphen between them.
        sources: a digest of what decides which files `up` looks for.
        packets: the files.
    """

    version: str
    system: str
    machine: str
    python: str
    lock: str
    sources: str
    packets: tuple[Packet, ...]

    @property
    def size(self) -> int:
        """All files together, unpacked."""
        return sum(packet.size for packet in self.packets)

    def render(self) -> str:
        """Write the lines."""
        head = {
            "version": self.version,
            "system": self.system,
            "machine": self.machine,
            "python": self.python,
            "lock": self.lock,
            "sources": self.sources,
        }
        lines = [_FORMAT, *(f"{key} {value}" for key, value in head.items())]
        lines += [f"file {packet.sha256} {packet.size} {packet.path}" for packet in self.packets]
        return "".join(f"{line}\n" for line in lines)


def parse_manifest(text: str) -> Manifest:
    """Read the lines.

    Raises:
        ManifestError: they are not what `render` writes, or name a file outside of the places where ours lie.
    """
    first, *lines = text.splitlines() or [""]
    if first != _FORMAT:
        raise ManifestError(f"it begins with {first[:40]!r}")
    head: dict[str, str] = {}
    packets = []
    for line in lines:
        key, _, rest = line.partition(" ")
        if key == "file":
            packets.append(_parse_packet(rest))
        else:
            head[key] = rest
    try:
        return Manifest(**head, packets=tuple(packets))
    except TypeError as error:
        raise ManifestError(f"its head has {', '.join(sorted(head))}") from error


def describe_here(root: Path, packets: tuple[Packet, ...] = ()) -> Manifest:
    """Say what a bundle of this checkout for this machine says of itself.

    Args:
        root: the checkout.
        packets: its files.
    """
    told = os.uname()
    return Manifest(
        version=project_version(),
        system=told.sysname,
        machine=told.machine,
        python=f"{sys.version_info[0]}.{sys.version_info[1]}",
        lock=lock_key(root),
        sources=digest_sources(root),
        packets=packets,
    )


def lock_key(root: Path) -> str:
    """Return what the launcher, too, calls the content of requirements.lock.

    Args:
        root: the checkout.
    """
    content = (root / LOCK).read_bytes()
    return f"{cksum(content)}-{len(content)}"


def cksum(content: bytes) -> int:
    """Return POSIX's checksum, as `cksum` prints it: https://pubs.opengroup.org/onlinepubs/9799919799/utilities/cksum.html."""
    length, size = b"", len(content)
    while size:
        length += bytes([size & 0xFF])
        size >>= 8
    remainder = 0
    table = [_remainder(byte) for byte in range(256)]
    for byte in content + length:
        remainder = (remainder << 8 & 0xFFFFFFFF) ^ table[(remainder >> 24) ^ byte]
    return ~remainder & 0xFFFFFFFF


def digest_sources(root: Path) -> str:
    """Return a digest of all that decides which files of the cache `up` looks for.

    Args:
        root: the checkout.
    """
    digest = hashlib.sha256()
    for path in _source_files(root):
        digest.update(str(path.relative_to(root)).encode() + b"\0" + hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _source_files(root: Path) -> Iterator[Path]:
    for name in _SOURCES:
        path = root / name
        if path.is_file():
            yield path
        else:
            yield from sorted(file for file in path.rglob("*") if file.is_file() and file.suffix not in _NO_SOURCE)


def _remainder(byte: int) -> int:
    value = byte << 24
    for _ in range(8):
        value = (value << 1) ^ (0x04C11DB7 if value & 0x80000000 else 0)
    return value & 0xFFFFFFFF


def _parse_packet(rest: str) -> Packet:
    try:
        sha256, size, path = rest.split(" ", 2)
        parts = PurePosixPath(path).parts
        if path.startswith("/") or ".." in parts or len(parts) < 2 or parts[0] not in (WHEELS, CACHE):  # noqa: PLR2004  # a folder and a name
            raise ManifestError(f"it names {path[:80]!r}")
        return Packet(path, int(size), sha256)
    except ValueError as error:
        raise ManifestError(str(error)) from error
