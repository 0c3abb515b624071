"""Have a real Prometheus and its promtool, unpacked from Debian's package into the cache and installed nowhere."""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.debian import fetch_packages, unpack
from deployer.report import Silent
from deployer.workspace import load_workspace

PACKAGE = "prometheus"
SECONDS = 120.0


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


@contextmanager
def run_prometheus(folder: Path, config: Path) -> Iterator[str]:
    """Run Prometheus; return where it answers.

    Args:
        folder: for its data and its log.
        config: its configuration.
    """
    log = folder / "prometheus.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [
                prometheus_programs() / "prometheus",
                f"--config.file={config}",
                f"--storage.tsdb.path={folder / 'data'}",
                "--web.listen-address=127.0.0.1:0",
            ],
            stdout=output,
            stderr=output,
        )
    try:
        yield _address(process, log)
    finally:
        process.terminate()
        process.wait(SECONDS)


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    """Read in its log which port it got."""
    deadline = time.monotonic() + SECONDS
    while True:
        said = log.read_text()
        found = re.search(r'msg="Listening on" address=(\S+)', said)
        if found:
            return f"http://{found[1]}"
        assert process.poll() is None, said
        assert time.monotonic() < deadline, said
        time.sleep(0.1)
