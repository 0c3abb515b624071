"""Let one `local` run in a checkout at a time, and say where it answers."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from deployer.errors import DeployError, UsageError
from deployer.local.layout import Layout, load_layout
from deployer.workspace import Workspace


@dataclass(frozen=True)
class Running:
    """Describe a running `local`.

    Attributes:
        pid: its process.
        url: where its gateway answers.
    """

    pid: int
    url: str


@contextmanager
def claim(layout: Layout) -> Iterator[None]:
    """Be the one `local` of this checkout; the claim ends with its holder, however that ends.

    Raises:
        UsageError: another has it.
        DeployError: the folder cannot be written.
    """
    try:
        layout.folder.mkdir(parents=True, exist_ok=True)
        _check_owner(layout.folder)
        file = layout.lock.open("a")
    except OSError as error:
        raise DeployError(
            f"{layout.folder} cannot be written: {error.strerror}.",
            advice="Run as the user who owns the checkout, or put it elsewhere: STAMPCHAT_HOME=~/stampchat-home.",
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise _taken(layout) from error
        try:
            yield
        finally:
            with suppress(OSError):
                layout.running.unlink(missing_ok=True)


def note_running(layout: Layout, url: str) -> None:
    """Say who runs, and where."""
    layout.running.write_text(json.dumps(asdict(Running(os.getpid(), url))) + "\n", encoding="utf-8")


def find_running(workspace: Workspace) -> Running | None:
    """Return the `local` that runs in a checkout, or None.

    Args:
        workspace: the checkout.
    """
    layout = load_layout(workspace)
    try:
        with layout.lock.open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _read(layout.running) or Running(0, "")
    except OSError:
        return None
    return None


def local_url(workspace: Workspace) -> str:
    """Return where the `local` of a checkout answers.

    Raises:
        UsageError: none runs, or it is just starting.
    """
    found = find_running(workspace)
    if found is None or not found.url:
        raise UsageError("`./stampchat local` does not run in this checkout.", advice="Start it in another window.")
    return found.url


def _taken(layout: Layout) -> UsageError:
    found = _read(layout.running)
    who = f"process {found.pid}, at {found.url}" if found else "a process that is just starting or ending"
    return UsageError(
        f"`./stampchat local` already runs in this checkout: {who}.",
        advice="Use that one, or end it with Ctrl-C where it runs. Another checkout can run beside it.",
    )


def _check_owner(folder: Path) -> None:
    owner = folder.stat().st_uid
    if owner != os.geteuid():
        raise DeployError(
            f"{folder} belongs to {_name(owner)}, and you are {_name(os.geteuid())}.",
            advice="Run as its owner, remove the folder (and its data), or put yours elsewhere with STAMPCHAT_HOME.",
        )


def _name(user: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _read(path: Path) -> Running | None:
    try:
        return Running(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
