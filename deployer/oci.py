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
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Literal

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
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


def write_archive(image: ImageSpec, path: Path, *, arch: str) -> str:
    """Write an OCI image layout as one tar that `ctr --namespace k8s.io images import` takes.

    The image is imported under `NAME@DIGEST`, the very reference that a Pod gives.

    Args:
        image: what to write.
        path: where the tar goes, whole or not at all.
        arch: the processor in Go's words ("amd64").

    Returns:
        The manifest's digest, "sha256:…".
    """
    config, manifest = _describe(image, arch)
    digest = _digest(manifest)
    entry = {**_descriptor(_MANIFEST, manifest), "annotations": {_NAME: f"{image.name}@{digest}"}}
    entry["platform"] = {"architecture": arch, "os": "linux"}
    index = _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [entry]})
    blobs: dict[str, bytes | Path] = {_digest(config): config, digest: manifest}
    blobs.update({layer.digest: layer.path for layer in image.layers})
    with _whole_file(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        _add(tar, Entry("oci-layout", source=_json({"imageLayoutVersion": "1.0.0"})))
        for name, blob in sorted(blobs.items()):
            _add(tar, Entry(f"blobs/{name.replace(':', '/')}", source=blob))
        _add(tar, Entry("index.json", source=index))
    return digest


def image_digest(image: ImageSpec, *, arch: str) -> str:
    """Return the digest that write_archive would, without writing.

    Args:
        image: what would be written.
        arch: the processor in Go's words.
    """
    return _digest(_describe(image, arch)[1])


def _describe(image: ImageSpec, arch: str) -> tuple[bytes, bytes]:
    """Return the image's configuration and manifest as JSON."""
    config = _json(
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
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "config": _descriptor(_CONFIG, config), "layers": layers}
    return config, _json(manifest)


def _descriptor(media_type: str, content: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(content), "size": len(content)}


def _digest(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


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
