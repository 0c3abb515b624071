"""A deployment of a copy of this checkout, on a disk and with a cache of its own, for faults to be tried on."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployer.cluster import instance
from deployer.cluster.embedded import cgroups
from deployer.rest import Rest
from deployer.workspace import Workspace, load_workspace
from tests.checkouts import Copy, taken_away
from tests.ports import free_port

CHANGED, OLD, NEW = "services/auth/routes.py", '"auth ok"', '"auth is ok"'
# What a cold build needs and a warm run does not; linked, so that what is damaged can be built anew within a minute.
LINKED = "go"
DISK = "6G"
# Seconds that an engine whose command was killed may take to save what it knows and leave.
LEAVING = 90.0
# Of the background's build of metrics-server, which outlives every command on purpose.
_BACKGROUND = "deployer.cluster.embedded.background"


@dataclass(frozen=True)
class Said:
    """What a command came to.

    Attributes:
        status: its exit code, negative for a signal.
        text: all of its standard error.
    """

    status: int
    text: str

    @property
    def paragraph(self) -> str:
        """What it said about its failure, nothing when it did not fail."""
        found = re.search(r"^stampchat: .*", self.text, re.MULTILINE | re.DOTALL)
        return found[0].strip() if found and self.status > 0 else ""

    @property
    def faults(self) -> list[str]:
        """List what is no paragraph: a stack trace, a fault of our own, silence, a flood."""
        found = [word for word in ("Traceback", "a fault of our own") if word in self.text]
        if self.status > 0 and not self.paragraph:
            found.append("failed without a word")
        if self.paragraph.count("\n") > 30:  # noqa: PLR2004  # more than a screen is no paragraph
            found.append("more than a paragraph")
        return found


@dataclass
class Ground:
    """Hold the deployment and what people stored in it.

    Attributes:
        copy: the copy of the checkout.
        cache: its cache.
    """

    copy: Copy
    cache: Path
    _url: str = field(default="", init=False)
    _who: int = field(default=0, init=False)
    _room: int = field(default=0, init=False)

    @property
    def home(self) -> Path:
        """What the deployment keeps in the checkout."""
        return self.copy.root / ".stampchat"

    @property
    def name(self) -> str:
        """The cluster's."""
        return instance.instance_name(self.home.resolve())

    def up(self, *words: str, before: Callable[[subprocess.Popen[str]], None] = lambda _: None) -> Said:
        """Run `up` and return what came of it; `before` gets the process while it runs."""
        with self.copy.begin("up", *words) as process:
            before(process)
            _, err = process.communicate()
        return Said(process.returncode, self._heard(process) + err)

    def run(self, *words: str) -> Said:
        """Run any command to its end."""
        with self.copy.begin(*words) as process:
            _, err = process.communicate()
        return Said(process.returncode, err)

    def wait_for(self, process: subprocess.Popen[str], pattern: str) -> bool:
        """Read a command's progress until a line fits; say whether one did before its end."""
        heard: list[str] = process.__dict__.setdefault("heard", [])
        for line in process.stderr or ():
            heard.append(line)
            if re.search(pattern, line):
                return True
        return False

    def _heard(self, process: subprocess.Popen[str]) -> str:
        return "".join(process.__dict__.get("heard", []))

    def change(self) -> None:
        """Change one line of a service, there and back, so that the next `up` has an update to make."""
        source = self.copy.root / CHANGED
        text = source.read_text(encoding="utf-8")
        source.write_text(text.replace(OLD, NEW) if OLD in text else text.replace(NEW, OLD), encoding="utf-8")

    def component(self, name: str) -> int:
        """Return a component's process on this machine; 0 while it does not run."""
        parts = self.copy.json("cluster", "status")["components"]
        return next(int(part["pid"] or 0) for part in parts if part["name"] == name)

    def strays(self) -> list[str]:
        """List processes of the copy that outlive their command, those that do not leave in time."""
        deadline = time.monotonic() + LEAVING
        while (found := self._processes()) and time.monotonic() < deadline:
            time.sleep(0.5)
        return found

    def _processes(self) -> list[str]:
        inside = cgroups.members(self.name)
        found = []
        for path in Path("/proc").glob("[0-9]*/cmdline"):
            pid = int(path.parent.name)
            with suppress(OSError):
                command = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
                ours = any(str(path) in command for path in (self.copy.root, self.cache)) and _BACKGROUND not in command
                if ours and pid not in inside and pid != os.getpid():
                    found.append(f"{pid} {command}")
        return found

    def engines(self) -> list[int]:
        """List the processes of the engine itself."""
        return [int(line.split()[0]) for line in self._processes() if "/pulumi up " in line]

    def plugins(self) -> list[int]:
        """List the processes of the Kubernetes plugin."""
        return [int(line.split()[0]) for line in self._processes() if "plugins.kubernetes" in line]

    def seed(self) -> None:
        """Have somebody log in and say something that is to be there ever after."""
        self._url = str(self.copy.json("outputs")["url"])
        user = self._log_in()
        self._who = int(user["id"])
        room = asyncio.run(self._post("/chat/channels", {"channel_name": "Faults"}, str(user["token"])))
        self._room = int(room["data"]["id"])

    def lost(self) -> list[str]:
        """List what is not there any more of what somebody stored."""
        user = self._log_in()
        found = [] if int(user["id"]) == self._who else ["the account"]
        events = f"/chat/channels/{self._room}/events?last_message_id="
        answer = asyncio.run(Rest(self._url).get(events, token=str(user["token"])))
        return found if answer.status == 200 else [*found, f"the group ({answer.status})"]  # noqa: PLR2004

    def _log_in(self) -> dict[str, Any]:
        return asyncio.run(self._post("/auth/login", {"authProvider": "dev", "token": "Ada"}))

    async def _post(self, path: str, body: dict[str, Any], token: str = "") -> dict[str, Any]:
        return dict((await Rest(self._url).post(path, body, token)).expect(200))


@contextmanager
def open_ground(folder: Path) -> Iterator[Ground]:
    """Bring the copy up on a disk of its own, and take all of it away in the end.

    Args:
        folder: an empty folder.
    """
    cache = folder / "cache"
    _copy_cache(load_workspace().cache, cache)
    root = folder / "clone"
    (root / ".stampchat").mkdir(parents=True)
    with _disk(folder / "disk", root / ".stampchat"):
        copy = Copy(root)
        copy.environ |= {"STAMPCHAT_CACHE": str(cache), "STAMPCHAT_VENV": sys.prefix}
        with taken_away(copy):
            ground = Ground(copy, cache)
            first = ground.up("--port", str(free_port()))
            if first.status:
                raise SystemExit(f"The first `up` failed, so there is no ground:\n{first.text}")
            ground.seed()
            yield ground


def workspace_of(ground: Ground) -> Workspace:
    """Return the copy's folders."""
    return Workspace(root=ground.copy.root, home=ground.home, cache=ground.cache)


def _copy_cache(shared: Path, own: Path) -> None:
    own.mkdir(parents=True)
    for entry in shared.iterdir():
        if entry.name == LINKED:
            (own / LINKED).symlink_to(entry)
        elif entry.is_dir():
            shutil.copytree(entry, own / entry.name, symlinks=True)
        else:
            shutil.copy2(entry, own / entry.name)


@contextmanager
def _disk(image: Path, at: Path) -> Iterator[None]:
    """Mount a small disk, so that it can be filled without filling anybody's."""
    subprocess.run(["truncate", "--size", DISK, str(image)], check=True)
    subprocess.run(["mkfs.ext4", "-q", "-m", "0", str(image)], check=True)
    subprocess.run(["mount", "-o", "loop", str(image), str(at)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(at)], check=True)
