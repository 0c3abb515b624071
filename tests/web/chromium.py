"""Have a browser: Debian's Chromium, unpacked into the cache with all that it needs, or the machine's own."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.debian import fetch_packages, unpack
from deployer.fetch.wheels import fetch_wheels
from deployer.report import Silent
from deployer.workspace import load_workspace

LOCK = Path(__file__).parent / "requirements.lock"
PACKAGE = "chromium"
FONTS = ("fonts-noto-color-emoji",)
# A second C library is of no use without its loader, and the machine has one; the others are for screens, sound and
# system services, which a browser without a screen does without.
NOT_NEEDED = (
    "adduser", "adwaita", "dbus-user", "debconf", "dmsetup", "dpkg", "init-", "libc6", "libdb5", "libfile",
    "libgdbm", "libgl1-mesa", "libllvm", "libnumber", "libpam", "libperl", "libtext", "libz3", "lsb-base", "mount",
    "passwd", "perl", "procps", "systemd", "sysvinit", "tar", "usrmerge", "x11-utils", "xdg-utils",
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


def add_playwright() -> None:
    """Put the packages of the tests' own lock beside ours, for this process.

    Raises:
        DeployError: they cannot be had.
    """
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    cache = load_workspace().cache
    wheels = fetch_wheels(LOCK, cache=cache, python_version=version, report=Silent())
    folder = cache / "tools" / f"browser-{wheels[0].parent.name}"
    with exclusive(folder):
        if not folder.is_dir():
            with staging(folder) as fresh:
                _install([str(wheel) for wheel in wheels], str(fresh / "site"))
                replace_folder(fresh / "site", folder)
    if str(folder) not in sys.path:
        sys.path.append(str(folder))


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


def _install(wheels: list[str], folder: str) -> None:
    # From files that were checked: nothing is asked of an index.
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--no-index",
        "--target",
        folder,
        *wheels,
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise DeployError("Playwright could not be unpacked.", said=done.stderr)
