"""Have a real Prometheus and its promtool, unpacked from Debian's package into the cache and installed nowhere."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.debian import fetch_packages, unpack
from deployer.report import Silent
from deployer.workspace import load_workspace

PACKAGE = "prometheus"


def prometheus_programs() -> Path:
    """Return the folder of `prometheus` and `promtool`; skip the test, saying why, where there is none to be had."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        pytest.skip(f"NOT TESTED: this machine has no apt, which would bring {PACKAGE}")
    cache = load_workspace().cache
    try:
        (deb,) = fetch_packages([PACKAGE], cache=cache, report=Silent())
    except DeployError as error:
        pytest.skip(f"NOT TESTED: {PACKAGE} cannot be fetched: {error}")
    folder = cache / "tools" / deb.stem.replace("%", "-")
    with exclusive(folder):
        if not folder.is_dir():
            with staging(folder) as fresh:
                unpack([deb], fresh / "all")
                replace_folder(fresh / "all" / "usr" / "bin", folder)
    return folder
