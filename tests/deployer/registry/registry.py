"""Run Debian's registry for a test, with a password or without."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import bcrypt

from deployer.fetch.atomic import exclusive
from deployer.fetch.debian import fetch_packages, unpack
from deployer.images.debian import read_packages
from deployer.oci import Built, Entry, ImageSpec, build, write_layer
from deployer.registry import Credentials
from deployer.report import Silent
from deployer.versions import machine_arch
from deployer.workspace import load_workspace
from tests.ports import free_port

USER = Credentials("pusher", "made-up-password-77")
_DEADLINE = 120.0
_UNAUTHORIZED = 401


@dataclass(frozen=True)
class Running:
    """Be a registry that answers.

    Attributes:
        host: its address and port.
        data: where it keeps everything.
        log: what it was asked.
    """

    host: str
    data: Path
    log: Path


@contextmanager
def serve(folder: Path, *, address: str = "127.0.0.1", password: bool = False) -> Iterator[Running]:
    """Run a registry until the block ends.

    Args:
        folder: for what it keeps.
        address: of this machine, where it listens.
        password: whether it asks for USER.
    """
    folder.mkdir(parents=True, exist_ok=True)
    running = Running(f"{address}:{free_port()}", folder / "data", folder / "log")
    config: dict[str, object] = {
        "version": 0.1,
        "log": {"level": "warn"},
        "storage": {"filesystem": {"rootdirectory": str(running.data)}},
        "http": {"addr": running.host},
    }
    if password:
        hashed = bcrypt.hashpw(USER.password.encode(), bcrypt.gensalt(4)).decode()
        (folder / "htpasswd").write_text(f"{USER.username}:{hashed}\n")
        config["auth"] = {"htpasswd": {"realm": "tests", "path": str(folder / "htpasswd")}}
    (folder / "config.yml").write_text(json.dumps(config))
    with running.log.open("w") as log:
        process = subprocess.Popen(
            [_program(), "serve", str(folder / "config.yml")], stdout=log, stderr=subprocess.STDOUT
        )
        try:
            _await(running, process)
            yield running
        finally:
            process.kill()
            process.wait()


def small_image(folder: Path, name: str = "small", *, arch: str = "amd64", content: bytes = b"hello") -> Built:
    """Make an image of one small layer."""
    layer = write_layer(folder / f"{name}-{arch}.tar", [Entry("hello", source=content)], compress=True)
    return build(ImageSpec(name=name, layers=(layer,), entrypoint=("/hello",)), arch=arch)


def busybox_image(folder: Path) -> Built:
    """Make an image for this machine that ends well at once."""
    debs = fetch_packages(["busybox-static"], cache=load_workspace().cache, report=Silent())
    layer = write_layer(folder / "busybox.tar", read_packages(debs).values(), compress=True)
    return build(ImageSpec("x", layers=(layer,), entrypoint=("/usr/bin/busybox", "true")), arch=machine_arch())


def _program() -> str:
    cache = load_workspace().cache
    folder = cache / "tools" / "docker-registry"
    with exclusive(folder):
        if not (folder / "usr" / "bin" / "docker-registry").exists():
            unpack(fetch_packages(["docker-registry"], cache=cache, report=Silent()), folder)
    return str(folder / "usr" / "bin" / "docker-registry")


def _await(running: Running, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + _DEADLINE
    while time.monotonic() < end:
        assert process.poll() is None, running.log.read_text()
        try:
            with urlopen(f"http://{running.host}/v2/", timeout=5):
                return
        except HTTPError as error:
            error.close()
            if error.code == _UNAUTHORIZED:
                return
        except URLError:
            pass
        time.sleep(0.05)
    raise AssertionError(running.log.read_text())
