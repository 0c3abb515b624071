"""Write container images without a container engine: deterministic layers and OCI image-layout archives.

The formats are https://github.com/opencontainers/image-spec/blob/v1.1.0/{config,layer,manifest,image-layout}.md.
The same entries always give the same bytes, so an image's digest changes only with what is in it.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import tarfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
_LAYER = "application/vnd.oci.image.layer.v1.tar"

# containerd takes an imported image's name from this annotation as it stands, without adding a tag.
_NAME = "io.containerd.image.name"

# A time of build would make every digest new.
_EPOCH = "1970-01-01T00:00:00Z"

_TAR_TYPES = {"file": tarfile.REGTYPE, "folder": tarfile.DIRTYPE, "link": tarfile.SYMTYPE, "hardlink": tarfile.LNKTYPE}


@dataclass(frozen=True)
class Entry:
    """Describe one file, folder or link of a layer.

    Attributes:
        name: the path in the image without the leading slash ("usr/bin/traefik").
        kind: what it is; "link" is a symbolic one.
        mode: permission bits.
        source: a file's content, or the file on this machine that holds it.
        target: where a link points; for a hard link the other entry's name.
        uid: the owner.
        gid: the group.
    """

    name: str
    kind: Literal["file", "folder", "link", "hardlink"] = "file"
    mode: int = 0o644
    source: bytes | Path = b""
    target: str = ""
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True)
class Layer:
    """Name one layer on disk.

    Attributes:
        path: the tar, compressed or not.
        digest: "sha256:…" of the bytes at path.
        diff_id: "sha256:…" of the tar before compression.
        size: of the bytes at path.
        media_type: what the bytes at path are.
    """

    path: Path
    digest: str
    diff_id: str
    size: int
    media_type: str = _LAYER


@dataclass(frozen=True)
class ImageSpec:
    """Say what an image holds and how it starts.

    Attributes:
        name: the repository with its registry and without tag or digest ("stampchat.local/services").
        layers: from the lowest up.
        entrypoint: the program and its fixed arguments.
        cmd: arguments that a Pod may replace.
        env: variables, in order.
        user: "uid:gid", numeric so that runAsNonRoot can be checked.
        working_dir: where the program starts.
        stop_signal: what asks the program to end, where SIGTERM is not it ("SIGINT").
        labels: anything to know about the image.
    """

    name: str
    layers: tuple[Layer, ...]
    entrypoint: tuple[str, ...]
    cmd: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    user: str = "10001:10001"
    working_dir: str = "/"
    stop_signal: str = "SIGTERM"
    labels: Mapping[str, str] = field(default_factory=dict)


def write_layer(path: Path, entries: Iterable[Entry], *, compress: bool = False) -> Layer:
    """Write entries as one tar, sorted, without times or user names, whole or not at all.

    Args:
        path: where the tar goes.
        entries: in any order; parent folders that none names are added as 0755, root's.
        compress: with gzip, fast: a third of the size for a second per 60 MB, and no slower to import.

    Raises:
        ValueError: a name is absolute, climbs out or comes twice.
    """
    with _whole_file(path) as file:
        stored = _HashingWriter(file.write)
        packer = zlib.compressobj(level=1, wbits=31)  # 31: a gzip header, which holds no time
        plain = _HashingWriter(lambda data: stored.write(packer.compress(data))) if compress else stored
        with tarfile.open(fileobj=plain, mode="w", format=tarfile.PAX_FORMAT) as tar:
            for entry in _in_order(entries):
                _add(tar, entry)
        if compress:
            stored.write(packer.flush())
    media_type = f"{_LAYER}+gzip" if compress else _LAYER
    return Layer(path, stored.digest, plain.digest, stored.size, media_type)


@dataclass(frozen=True)
class Built:
    """Hold what a registry keeps of an image for one processor.

    Attributes:
        arch: the processor in Go's words.
        config: the configuration's bytes.
        manifest: the manifest's bytes.
        layers: from the lowest up.
    """

    arch: str
    config: bytes
    manifest: bytes
    layers: tuple[Layer, ...]

    @property
    def digest(self) -> str:
        """The manifest's digest, "sha256:…"."""
        return digest_of(self.manifest)

    @property
    def size(self) -> int:
        """Its layers together, in bytes."""
        return sum(layer.size for layer in self.layers)

    @property
    def descriptor(self) -> dict[str, Any]:
        """What an index says of it."""
        return {**describe(MANIFEST, self.manifest), "platform": {"architecture": self.arch, "os": "linux"}}


def build(image: ImageSpec, *, arch: str) -> Built:
    """Make an image's configuration and manifest, without writing anything.

    Args:
        image: what it holds.
        arch: the processor in Go's words ("amd64").
    """
    config, manifest = _describe(image, arch)
    return Built(arch, config, manifest, image.layers)


def build_index(builds: Sequence[Built]) -> bytes:
    """Make the index by which a cluster finds the image of its own processor.

    Args:
        builds: the same image for one processor each.
    """
    manifests = [each.descriptor for each in sorted(builds, key=lambda each: each.arch)]
    return canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests})


def digest_of_all(builds: Sequence[Built]) -> str:
    """Return what a Pod names: the one image's digest, or that of the index over several."""
    return builds[0].digest if len(builds) == 1 else digest_of(build_index(builds))


def write_archive(image: ImageSpec, path: Path, *, arch: str) -> str:
    """Write an image for one processor as an archive; see write_archive_of.

    Args:
        image: what to write.
        path: where the tar goes, whole or not at all.
        arch: the processor in Go's words ("amd64").

    Returns:
        The manifest's digest, "sha256:…".
    """
    return write_archive_of(image.name, [build(image, arch=arch)], path)


def write_archive_of(name: str, builds: Sequence[Built], path: Path) -> str:
    """Write an OCI image layout as one tar that `ctr --namespace k8s.io images import` takes.

    The image is imported under `NAME@DIGEST`, the very reference that a Pod gives.

    Args:
        name: the repository with its registry ("stampchat.local/services").
        builds: the image, for one processor or several.
        path: where the tar goes, whole or not at all.

    Returns:
        The digest of the manifest, or of the index over several, "sha256:…".
    """
    digest = digest_of_all(builds)
    blobs: dict[str, bytes | Path] = {}
    for each in builds:
        blobs.update({digest_of(each.config): each.config, each.digest: each.manifest})
        blobs.update({layer.digest: layer.path for layer in each.layers})
    if len(builds) == 1:
        entry = builds[0].descriptor
    else:
        over_all = build_index(builds)
        blobs[digest] = over_all
        entry = describe(INDEX, over_all)
    entry = {**entry, "annotations": {_NAME: f"{name}@{digest}"}}
    index = canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
    with _whole_file(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, Entry("oci-layout", source=canonical_json({"imageLayoutVersion": "1.0.0"})))
        for blob_digest, blob in sorted(blobs.items()):
            _add(tar, Entry(f"blobs/{blob_digest.replace(':', '/')}", source=blob))
        _add(tar, Entry("index.json", source=index))
    return digest


def describe(media_type: str, content: bytes) -> dict[str, Any]:
    """Return a blob's descriptor: its type, digest and size."""
    return {"mediaType": media_type, "digest": digest_of(content), "size": len(content)}


def digest_of(content: bytes) -> str:
    """Return the digest of some bytes, "sha256:…"."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def canonical_json(value: object) -> bytes:
    """Write a value as JSON, the same bytes each time."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _describe(image: ImageSpec, arch: str) -> tuple[bytes, bytes]:
    """Return the image's configuration and manifest as JSON."""
    config = canonical_json(
        {
            "architecture": arch,
            "os": "linux",
            "created": _EPOCH,
            "config": {
                "User": image.user,
                "Env": [f"{key}={value}" for key, value in image.env],
                "Entrypoint": list(image.entrypoint),
                "Cmd": list(image.cmd),
                "WorkingDir": image.working_dir,
                "StopSignal": image.stop_signal,
                "Labels": dict(image.labels),
            },
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in image.layers]},
        },
    )
    layers = [{"mediaType": layer.media_type, "digest": layer.digest, "size": layer.size} for layer in image.layers]
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": describe(CONFIG, config), "layers": layers}
    return config, canonical_json(manifest)


def _in_order(entries: Iterable[Entry]) -> Iterator[Entry]:
    """Yield parents before children and hard links after what they name."""
    named: dict[str, Entry] = {}
    for entry in entries:
        if entry.name.startswith("/") or ".." in entry.name.split("/") or entry.name in named:
            raise ValueError(f"{entry.name!r} is absolute, climbs out of the image or comes twice")
        named[entry.name] = entry
    for name in list(named):
        for parent in Path(name).parents[:-1]:
            named.setdefault(str(parent), Entry(str(parent), kind="folder", mode=0o755))
    yield from sorted(named.values(), key=lambda entry: (entry.kind == "hardlink", entry.name.split("/")))


def _add(tar: tarfile.TarFile, entry: Entry) -> None:
    info = tarfile.TarInfo(entry.name)
    info.type, info.mode, info.uid, info.gid = _TAR_TYPES[entry.kind], entry.mode, entry.uid, entry.gid
    info.linkname = entry.target
    if entry.kind != "file":
        tar.addfile(info)
    elif isinstance(entry.source, Path):
        info.size = entry.source.stat().st_size
        with entry.source.open("rb") as file:
            tar.addfile(info, file)
    else:
        info.size = len(entry.source)
        tar.addfile(info, io.BytesIO(entry.source))


@contextmanager
def _whole_file(path: Path) -> Iterator[IO[bytes]]:
    """Give a file to write that appears under its name only when it is complete and on the disk."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with part.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


class _HashingWriter(io.RawIOBase):
    """Pass bytes on and know their digest, so that what was written need not be read again."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._hash = hashlib.sha256()
        self._write = write
        self.size = 0

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, data: Any, /) -> int:
        self._hash.update(data)
        self.size += len(data)
        self._write(data)
        return len(data)

    def tell(self) -> int:
        return self.size
