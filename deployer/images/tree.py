"""Move entries between layers and folders of this machine."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from deployer.oci import Entry, Layer


def lay_out(entries: Iterable[Entry], folder: Path) -> None:
    """Write entries into a folder so that a program of this machine can read them; owners are not kept.

    Args:
        entries: folders, files and symbolic links; hard links become copies.
        folder: stands for the image's root.
    """
    hard = []
    for entry in entries:
        path = folder / entry.name
        path.parent.mkdir(parents=True, exist_ok=True)
        if entry.kind == "folder":
            path.mkdir(exist_ok=True)
        elif entry.kind == "link":
            path.symlink_to(entry.target)
        elif entry.kind == "hardlink":
            hard.append((path, folder / entry.target))
        elif isinstance(entry.source, Path):
            shutil.copyfile(entry.source, path)
        else:
            path.write_bytes(entry.source)
        if entry.kind == "file":
            path.chmod(entry.mode)
    for path, target in hard:
        shutil.copy2(target, path)


def extract(layers: Sequence[Layer], folder: Path) -> None:
    """Unpack layers over each other; owners and absolute links are kept only as far as any user may.

    Args:
        layers: from the lowest up.
        folder: stands for the image's root.
    """
    for layer in layers:
        with tarfile.open(layer.path) as tar:
            tar.extractall(folder, filter=_plain)  # noqa: S202  # a layer that we wrote


def _plain(member: tarfile.TarInfo, _path: str) -> tarfile.TarInfo:
    # The layers are our own: nothing in them climbs out. What is extracted belongs to whoever extracts.
    return member.replace(uid=None, gid=None, uname=None, gname=None, deep=False)  # type: ignore[arg-type]  # None: keep


def read_wheel(wheel: Path) -> dict[str, bytes]:
    """Return a wheel's files by their path in site-packages; programs keep their place, "NAME.data/scripts/…".

    Args:
        wheel: the .whl file.
    """
    files: dict[str, bytes] = {}
    with zipfile.ZipFile(wheel) as archive:
        for info in archive.infolist():
            top, _, rest = info.filename.partition("/")
            scheme, _, inner = rest.partition("/")
            name = inner if top.endswith(".data") and scheme in {"purelib", "platlib"} else info.filename
            if not info.is_dir():
                files[name] = archive.read(info)
    return files
