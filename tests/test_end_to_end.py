"""The whole journey of a new user, for real, in a copy of this checkout and beside whatever runs on this machine.

It needs what `up` needs: root on Linux, Go, package registries, a few GiB of disk. With a warm cache it takes some
minutes; it uses the environment that runs it, so that no packages are installed twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import pytest
from kubernetes.client import AppsV1Api, CoreV1Api
from kubernetes.config import new_client_from_config

from deployer.ready import fetch_status
from deployer.rest import Rest
from deployer.workspace import ROOT
from tests.ports import free_port

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(2700)]

CHANGED, OLD, NEW = "services/auth/routes.py", '"auth ok"', '"auth is ok"'
UNHURT = "This machine's own deployment was touched"


def missing() -> str:
    """Say what this machine lacks for the journey, or nothing."""
    if platform.system() != "Linux" or os.geteuid() != 0:
        return "the embedded cluster needs root on Linux"
    if shutil.which("go") is None and not (Path.home() / ".cache/stampchat/cluster").exists():
        return "there is no Go here, and no cluster in the cache"
    return ""


@dataclass
class Copy:
    """A copy of the checkout as git would clone it, changes that are not committed yet included."""

    root: Path
    environ: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        self.environ = {key: value for key, value in os.environ.items() if not key.startswith("STAMPCHAT_HOME")}
        self.environ["STAMPCHAT_VENV"] = sys.prefix
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        self.git("init", "--quiet")
        self.git("add", "--all")
        self.git("-c", "user.name=e2e", "-c", "user.email=e2e@localhost", "commit", "--quiet", "--message=copy")

    def git(self, *args: str) -> str:
        return subprocess.run(["git", *args], cwd=self.root, check=True, capture_output=True, text=True).stdout

    def begin(self, *args: str) -> subprocess.Popen[str]:
        command = [str(self.root / "stampchat"), *args]
        pipe = subprocess.PIPE
        return subprocess.Popen(command, cwd="/", env=self.environ, stdout=pipe, stderr=pipe, text=True)

    def run(self, *args: str, expect: int = 0) -> str:
        with self.begin(*args) as process:
            out, err = process.communicate()
        assert process.returncode == expect, f"./stampchat {' '.join(args)}: {process.returncode}\n{out}\n{err}"
        return out

    def json(self, *args: str) -> Any:
        return json.loads(self.run(*args, "--json"))


class Poll(threading.Thread):
    """Ask a route over and over, on a connection of its own each time, and keep whatever is not 200."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.url = url
        self.asked = 0
        self.lost: list[int | str] = []
        self._enough = threading.Event()

    def run(self) -> None:
        while not self._enough.wait(0.02):
            status = fetch_status(self.url, timeout=10)
            self.asked += 1
            if status != 200:
                self.lost.append(status)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self.join()


@contextmanager
def in_a_copy(folder: Path) -> Iterator[Copy]:
    """Make the copy, and leave nothing of it however the journey ends."""
    copy = Copy(folder)
    try:
        yield copy
    finally:
        with copy.begin("cluster", "down", "--purge", "--yes") as process:
            process.communicate()


def traces(name: str, root: Path) -> list[str]:
    """List what of a cluster is still on this machine."""
    found = [f"mount {line}" for line in Path("/proc/mounts").read_text().splitlines() if str(root) in line]
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = process.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if name in command or str(root) in command:
            found.append(f"process {process.parent.name} {command}")
    found += [f"network {path}" for path in Path("/run/netns").glob(f"*{name}*")]
    found += [f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(f"*/{name}")]
    found += [f"cgroup {path}" for path in Path("/sys/fs/cgroup").glob(name)]
    links = subprocess.run(["ip", "-o", "link"], check=True, capture_output=True, text=True).stdout
    return found + [f"link {line}" for line in links.splitlines() if name.removeprefix("stampchat-") in line]


def own_deployment() -> dict[str, Any]:
    """Read what runs of this very checkout, so that it can be seen unhurt afterwards."""
    done = subprocess.run(
        [sys.executable, "-m", "cli", "cluster", "status", "--json"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    found: dict[str, Any] = json.loads(done.stdout)
    return {part["name"]: part["pid"] for part in found["components"]} if found["running"] else {}


def stop_in_the_middle(copy: Copy) -> None:
    """Press Ctrl-C while the update is under way: after the first of three Deployments."""
    process = copy.begin("up")
    assert process.stderr is not None
    for line in process.stderr:
        if "updated Deployment" in line:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "goes on from there" in err


@pytest.mark.skipif(bool(missing()), reason=f"NOT RUN, the whole journey: {missing()}")
def test_from_a_clone_to_chatting_and_back_to_nothing(tmp_path: Path) -> None:
    before = own_deployment()
    with in_a_copy(tmp_path / "clone") as copy:
        first = copy.json("up", "--port", str(free_port()))
        url = first["url"]
        assert first["changes"]["create"] > 30
        assert copy.git("status", "--porcelain") == ""
        assert copy.json("smoke")["passed"]

        again = copy.json("up")
        assert set(again["changes"]) == {"same"}
        assert copy.json("preview")["changes"] == []
        status = copy.json("status")
        assert status["ready"]
        outputs = copy.json("outputs")
        assert outputs["url"] == url

        _change_and_roll(copy, url)
        assert copy.json("smoke")["passed"]
        assert copy.json("outputs")["images"] != outputs["images"]

        _meddle_and_put_back(copy)
        _go_back(copy, url)

        _kill_and_mend(copy, url, status)

        assert copy.json("destroy", "--yes")["deleted"] >= first["changes"]["create"]
        assert fetch_status(f"{url}/auth/test") != 200
        copy.run("cluster", "down", "--purge", "--yes")
        assert traces(status["cluster"]["name"], copy.root) == []
    assert before == own_deployment(), UNHURT


def _change_and_roll(copy: Copy, url: str) -> None:
    """Change a service's source: stopped half-way and taken up again, not one request is lost."""
    source = copy.root / CHANGED
    text = source.read_text()
    assert OLD in text
    source.write_text(text.replace(OLD, NEW))
    with Poll(f"{url}/auth/test") as poll:
        stop_in_the_middle(copy)
        rolled = copy.json("up")
    assert rolled["changes"].get("update"), rolled
    answer = asyncio.run(Rest(url).get("/auth/test"))
    assert NEW.strip('"') in answer.text
    assert poll.asked > 50
    assert poll.lost == []


def _meddle_and_put_back(copy: Copy) -> None:
    """Change by hand what the stack made: `drift` finds it and touches nothing, `up` puts it back."""
    assert "as it was left" in copy.run("drift", "dev")
    kubeconfig = str(copy.root / ".stampchat" / "cluster" / "kubeconfig")
    with new_client_from_config(kubeconfig) as api:
        AppsV1Api(api).patch_namespaced_deployment("stamp-chat-auth", "stampchat", {"spec": {"replicas": 2}})
        CoreV1Api(api).delete_namespaced_service("stamp-chat-notifications", "stampchat")

    found = copy.run("drift", "dev", expect=3)

    assert "changed:  Deployment stamp-chat-auth (spec.replicas)" in found
    assert "gone:     Service stamp-chat-notifications" in found
    copy.run("up", "--refresh", expect=1)  # the field now is somebody else's
    copy.run("up", "--refresh", "--take-over")
    copy.run("drift", "dev")


def _go_back(copy: Copy, url: str) -> None:
    """Roll back to the images before the changed line, and see the plan to go forward again."""
    copy.run("rollback", "dev", "--yes")

    assert OLD.strip('"') in asyncio.run(Rest(url).get("/auth/test")).text
    newest, *_, oldest = copy.json("history", "dev")
    assert newest["images"] == oldest["images"]
    comment = copy.run("preview", "--markdown")
    assert "3 to update" in comment
    assert "update <b>Deployment stamp-chat-auth</b>" in comment
    assert copy.git("status", "--porcelain") == f" M {CHANGED}\n"


def _kill_and_mend(copy: Copy, url: str, status: dict[str, Any]) -> None:
    """Kill the container runtime and then everything; the next `up` brings it back with its data."""
    who = _log_in(url, "Ada")
    pids = {part["name"]: part["pid"] for part in status["cluster"]["components"]}
    os.kill(pids["containerd"], signal.SIGKILL)
    copy.json("up")
    copy.run("cluster", "down")
    assert copy.json("up")["url"] == url
    assert _log_in(url, "Ada") == who


def _log_in(url: str, name: str) -> int:
    """Log in and return the user's number, which stays the same as long as the database does."""
    answer = asyncio.run(Rest(url).post("/auth/login", {"authProvider": "dev", "token": name}))
    return int(answer.expect(200)["id"])
