"""Make the layer that all images stand on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deployer.images.debian import read_packages
from deployer.oci import Entry

USER = 10001

_PASSWD = f"""\
root:x:0:0:root:/root:/sbin/nologin
stampchat:x:{USER}:{USER}:StampChat:/nonexistent:/sbin/nologin
"""
_GROUP = f"""\
root:x:0:
stampchat:x:{USER}:
"""
_NSSWITCH = """\
passwd: files
group: files
hosts: files dns
services: files
protocols: files
"""
_CERTIFICATES = "usr/share/ca-certificates/"
_BUNDLE = "etc/ssl/certs/ca-certificates.crt"


def base_entries(debs: Sequence[Path]) -> Iterable[Entry]:
    """Return the base layer: the packages, a merged /usr, two users, public certificates in one file.

    Args:
        debs: the packages of versions.toml's images.base.
    """
    entries = read_packages(debs)
    bundle = _bundle(entries)
    own = [
        *(Entry(name, kind="link", mode=0o777, target=f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin")),
        *(Entry(f"usr/{name}", kind="folder", mode=0o755) for name in ("bin", "lib", "lib64", "sbin")),
        Entry("etc/passwd", source=_PASSWD.encode()),
        Entry("etc/group", source=_GROUP.encode()),
        Entry("etc/nsswitch.conf", source=_NSSWITCH.encode()),
        Entry(_BUNDLE, source=bundle),
        # OpenSSL looks here first; Go looks at the bundle itself.
        Entry("usr/lib/ssl/cert.pem", kind="link", mode=0o777, target=f"/{_BUNDLE}"),
        Entry("tmp", kind="folder", mode=0o1777),
        Entry("var/tmp", kind="folder", mode=0o1777),
        Entry("run", kind="folder", mode=0o755),
        Entry("var/run", kind="link", mode=0o777, target="/run"),
    ]
    entries.update((entry.name, entry) for entry in own)
    return [entry for name, entry in entries.items() if not name.startswith(_CERTIFICATES)]


def _bundle(entries: Mapping[str, Entry]) -> bytes:
    certificates = [entry.source for name, entry in sorted(entries.items()) if name.startswith(_CERTIFICATES)]
    return b"".join(pem.rstrip() + b"\n" for pem in certificates if isinstance(pem, bytes) and pem)
