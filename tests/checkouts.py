"""Copy this checkout as git would clone it, and drive the copy by its own command line."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from deployer.workspace import ROOT

Made = TypeVar("Made", bound="Copy")


@dataclass
class Copy:
    """A copy of the checkout as git would clone it, changes that are not committed yet included.

    Attributes:
        root: the copy's folder.
        commit: an earlier commit to begin with; nothing for the present one.
        environ: what its commands run in.
    """

    root: Path
    commit: str = ""
    environ: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("STAMPCHAT_HOME", "PULUMI_"))}
        self.environ = kept | {"STAMPCHAT_VENV": sys.prefix}
        self.root.mkdir(parents=True, exist_ok=True)
        self.git("init", "--quiet")
        if self.commit:
            self._take(self.commit)
        else:
            self.become_present()

    def become_present(self) -> None:
        """Take the files of the checkout as they are now, as a pull would."""
        self._clear()
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        names = subprocess.run(listed, cwd=ROOT, check=True, capture_output=True, text=True).stdout
        for name in filter(None, names.split("\0")):
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self.root / name)
        self._commit("present")
        self.commit = ""

    def git(self, *args: str) -> str:
        """Run git in the copy and return what it prints."""
        return subprocess.run(["git", *args], cwd=self.root, check=True, capture_output=True, text=True).stdout

    def command(self, *args: str) -> list[str]:
        """Return how one of the copy's commands is started."""
        return [str(self.root / "stampchat"), *args]

    def begin(self, *args: str) -> subprocess.Popen[str]:
        """Start a command of the copy."""
        pipe = subprocess.PIPE
        return subprocess.Popen(self.command(*args), cwd="/", env=self.environ, stdout=pipe, stderr=pipe, text=True)

    def run(self, *args: str, expect: int = 0) -> str:
        """Run a command of the copy and return its result."""
        with self.begin(*args) as process:
            out, err = process.communicate()
        assert process.returncode == expect, f"./stampchat {' '.join(args)}: {process.returncode}\n{out}\n{err}"
        return out

    def json(self, *args: str) -> Any:
        """Run a command of the copy and return its result as a machine reads it."""
        return json.loads(self.run(*args, "--json"))

    def _take(self, commit: str) -> None:
        packed = subprocess.run(["git", "archive", commit], cwd=ROOT, check=True, capture_output=True).stdout
        with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
            archive.extractall(self.root, filter="tar")
        self._commit(commit)

    def _clear(self) -> None:
        for name in filter(None, self.git("ls-files", "-z").split("\0")):
            (self.root / name).unlink(missing_ok=True)

    def _commit(self, message: str) -> None:
        self.git("add", "--all")
        who = ("-c", "user.name=e2e", "-c", "user.email=e2e@localhost")
        self.git(*who, "commit", "--quiet", "--allow-empty", f"--message={message}")


@contextmanager
def in_a_copy(folder: Path, commit: str = "") -> Iterator[Copy]:
    """Make the copy, and leave nothing of it however the journey ends."""
    with taken_away(Copy(folder, commit)) as copy:
        yield copy


@contextmanager
def taken_away(copy: Made) -> Iterator[Made]:
    """Take a copy's cluster away in the end, with all that it holds."""
    try:
        yield copy
    finally:
        with copy.begin("cluster", "down", "--purge", "--yes") as process:
            process.communicate()


def previous_commit() -> str:
    """Name the commit before this checkout's, or another by STAMPCHAT_UPGRADE_FROM; nothing in a shallow clone."""
    wanted = os.environ.get("STAMPCHAT_UPGRADE_FROM") or "HEAD^"
    asked = ["git", "rev-parse", "--verify", "--quiet", f"{wanted}^{{commit}}"]
    return subprocess.run(asked, cwd=ROOT, check=False, capture_output=True, text=True).stdout.strip()
