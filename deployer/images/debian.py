"""Read Debian packages as entries of a layer; no script of theirs runs, here or in the image."""

from __future__ import annotations

import posixpath
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from fnmatch import fnmatch
from pathlib import Path

from deployer.errors import ProcessError
from deployer.oci import Entry

# Debian's packages of this release still ship files under /lib; the image has a merged /usr.
_MERGED = ("bin", "lib", "lib64", "sbin")

# Read by people or by tools that the image has not. Copyright files stay: the licences ask for it.
_UNUSED = (
    "boot",
    "etc/apt*",
    "etc/default*",
    "etc/dpkg*",
    "etc/profile.d*",
    "etc/skel*",
    "etc/update-motd.d*",
    "home",
    "usr/games",
    "usr/include*",
    "usr/lib/*/audit*",
    "usr/lib/*/gconv*",
    "usr/lib/python3*/__phello__*",
    "usr/lib/python3*/config-*",
    "usr/lib/python3*/ensurepip*",
    "usr/lib/python3*/pydoc_data*",
    "usr/lib/python3*/test*",
    "usr/lib/binfmt.d*",
    "usr/share/base-files*",
    "usr/share/binfmts*",
    "usr/share/bug*",
    "usr/share/dict*",
    "usr/share/gcc*",
    "usr/share/gdb*",
    "usr/share/info*",
    "usr/share/initramfs-tools*",
    "usr/share/lintian*",
    "usr/share/locale*",
    "usr/share/man*",
    "usr/share/misc*",
    "usr/share/pixmaps*",
    "usr/share/applications*",
    "usr/share/python3*",
    "usr/share/zoneinfo/posix/*",
    "usr/share/zoneinfo/right/*",
    "usr/src",
    "var/backups",
    "var/local",
    "var/lock",
    "var/run",
)

# Extension modules whose libraries the image does without, and those that only test Python itself.
_UNUSED_MODULES = ("_crypt", "_curses*", "_dbm", "_sqlite3", "nis", "readline", "ossaudiodev", "_*test*", "xx*", "_xx*")


def read_packages(debs: Sequence[Path]) -> dict[str, Entry]:
    """Return what the packages hold, trimmed, by its name in the image.

    Scanners find the packages as they do in distroless images: a control file each in var/lib/dpkg/status.d.

    Args:
        debs: the package files; of a name that comes twice the last counts.

    Raises:
        ProcessError: a package is broken.
    """
    entries: dict[str, Entry] = {}
    for deb in debs:
        control = _output(["dpkg-deb", "--field", str(deb)])
        name = deb.name.split("_", 1)[0]
        entries.update((entry.name, entry) for entry in _read_package(deb))
        entries[f"var/lib/dpkg/status.d/{name}"] = Entry(f"var/lib/dpkg/status.d/{name}", source=control)
    return entries


def _read_package(deb: Path) -> Iterator[Entry]:
    command = ["dpkg-deb", "--fsys-tarfile", str(deb)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        with tarfile.open(fileobj=process.stdout, mode="r|") as tar:
            for member in tar:
                name = image_path(member.name)
                if name and name not in _MERGED and not _unused(name):
                    yield _entry(tar, member, name)
        _, said = process.communicate()
    if process.returncode:
        raise ProcessError(command, status=process.returncode, output=said.decode(errors="replace"))


def image_path(name: str) -> str:
    """Return a package's path as it is in the image: relative, with /bin, /lib, /lib64 and /sbin under /usr.

    Args:
        name: as the package has it ("./lib/x86_64-linux-gnu/libc.so.6").
    """
    path = posixpath.normpath(name.lstrip("/")).removeprefix(".").lstrip("/")
    first, slash, rest = path.partition("/")
    return f"usr/{first}/{rest}" if first in _MERGED and slash else path


def _entry(tar: tarfile.TarFile, member: tarfile.TarInfo, name: str) -> Entry:
    mode = member.mode & 0o1777  # nothing in an image changes its user, and all is root's
    if member.isdir():
        return Entry(name, kind="folder", mode=mode)
    if member.issym():
        return Entry(name, kind="link", mode=0o777, target=member.linkname)
    if member.islnk():
        return Entry(name, kind="hardlink", mode=mode, target=image_path(member.linkname))
    file = tar.extractfile(member)
    return Entry(name, mode=mode, source=file.read() if file else b"")


def _unused(name: str) -> bool:
    if name.startswith("usr/share/doc/"):
        return not name.endswith("/copyright")
    if "/lib-dynload/" in name:
        module = posixpath.basename(name).split(".", 1)[0]
        return any(fnmatch(module, pattern) for pattern in _UNUSED_MODULES)
    return any(fnmatch(name, pattern) for pattern in _UNUSED)


def _output(command: Sequence[str]) -> bytes:
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode:
        raise ProcessError(command, status=done.returncode, output=done.stderr.decode(errors="replace"))
    return done.stdout
