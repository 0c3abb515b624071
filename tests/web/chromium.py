"""Have a browser: the machine's Chromium, or Debian's unpacked into the cache with all that it needs, nothing installed."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.debian import fetch_packages, unpack
from deployer.report import Silent
from deployer.workspace import load_workspace

PACKAGE = "chromium"
FONTS = ("fonts-noto-color-emoji",)
# What Chromium needs of them is on every machine already, and a second C library would be no use without its loader; the
# others are for screens, sound and system services, which a browser without a screen asks in vain.
NOT_NEEDED = (
    "adduser", "adwaita", "dbus-user", "debconf", "dmsetup", "dpkg", "init-", "libc6", "libdb5", "libfile", "libgdbm",
    "libgl1-mesa", "libllvm", "libnumber", "libpam", "libperl", "libtext", "libz3", "lsb-base", "mount", "passwd", "perl",
    "procps", "systemd", "sysvinit", "tar", "usrmerge", "x11-utils", "xdg-utils",
)  # fmt: skip
FONTS_CONFIG = """\
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""


@dataclass(frozen=True)
class Chromium:
    """Be a browser that can be started.

    Attributes:
        program: it.
        environ: what it needs to find its libraries and fonts.
    """

    program: Path
    environ: dict[str, str]


def find_chromium() -> Chromium:
    """Return Debian's Chromium, unpacked once; where there is no apt, the one that the machine has.

    Raises:
        DeployError: there is neither.
    """
    try:
        return _unpacked(load_workspace().cache)
    except DeployError:
        found = shutil.which("chromium") or shutil.which("chromium-browser")
        if found is None:
            raise
        return Chromium(Path(found), dict(os.environ))


def _unpacked(cache: Path) -> Chromium:
    # It makes apt's lists, by which the others are found.
    (newest,) = fetch_packages([PACKAGE], cache=cache, report=Silent())
    folder = cache / "tools" / f"chromium-{hashlib.sha256(newest.name.encode()).hexdigest()[:12]}"
    with exclusive(folder):
        if not folder.is_dir():
            with staging(folder) as fresh:
                unpack(fetch_packages(_closure(cache), cache=cache, report=Silent()), fresh / "root")
                replace_folder(fresh / "root", folder)
    fonts = folder / "fonts.conf"
    fonts.write_text(FONTS_CONFIG.format(fonts=folder / "usr/share/fonts", cache=folder / "fonts-cache"))
    (libraries,) = (folder / "usr/lib").glob("*-linux-gnu")
    places = [libraries, libraries / "nss", libraries / "pulseaudio"]
    own = {"LD_LIBRARY_PATH": ":".join(map(str, places)), "FONTCONFIG_FILE": str(fonts)}
    return Chromium(folder / "usr/lib/chromium/chromium", {**os.environ, **own})


def _closure(cache: Path) -> Sequence[str]:
    """Ask apt what would be installed with it on an empty machine."""
    command = ["apt-get", "-c", str(cache / "apt" / "apt.conf"), "--simulate", "--no-install-recommends", "install"]
    done = subprocess.run([*command, PACKAGE, *FONTS], capture_output=True, text=True, check=False)
    names = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Inst ")]
    if done.returncode or not names:
        raise DeployError("apt does not know what Chromium needs.", said=done.stderr)
    return [name for name in names if not name.startswith(NOT_NEEDED)]
