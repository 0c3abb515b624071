"""Know what runs, and where everything of it lies."""

from __future__ import annotations

import hashlib
import os
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from deployer.workspace import Workspace

# Everybody may pass through a folder with this bit.
_PASSABLE = 0o001
# Where root's database goes when another user could not reach it in the checkout's own folder.
_SYSTEM_FOLDER = Path("/var/lib/stampchat")


@dataclass(frozen=True)
class Service:
    """Name one of the three services; infra.catalogue says the same, and a test compares the two.

    Attributes:
        name: the word for it in logs and in paths.
        public_port: what the gateway reaches, where it is free on this machine.
        internal_port: what only machines reach, where it is free.
    """

    name: str
    public_port: int
    internal_port: int

    @property
    def module(self) -> str:
        """What Python runs."""
        return f"services.{self.name}"

    @property
    def database(self) -> str:
        """Its database, and the role that owns it."""
        return f"stamp_chat_{self.name}"


AUTH = Service("auth", 3000, 3010)
CHAT = Service("chat", 4000, 4010)
NOTIFICATIONS = Service("notifications", 3001, 3011)
SERVICES = (AUTH, CHAT, NOTIFICATIONS)
POSTGRES_PORT = 15432
GATEWAY_PORT = 8080


@dataclass(frozen=True)
class Layout:
    """Name the folders and files of one checkout's `local`.

    Attributes:
        root: the checkout, whose services/ run.
        folder: all that `local` makes, but for its database as root in an unreachable checkout.
        database: Postgres's data, and its programs where a copy is needed.
        cache: our cache folder, which all checkouts share.
    """

    root: Path
    folder: Path
    database: Path
    cache: Path = Path("/nonexistent")

    @property
    def data(self) -> Path:
        """Postgres's data folder."""
        return self.database / "data"

    @property
    def secrets(self) -> Path:
        """The generated secrets, a file each; only their owner reads them."""
        return self.folder / "secrets"

    @property
    def token_keys(self) -> Path:
        """The public keys, <kid>.pem each."""
        return self.folder / "token-keys"

    @property
    def logs(self) -> Path:
        """What every program said, a file each."""
        return self.folder / "logs"

    @property
    def routes(self) -> Path:
        """What the gateway serves."""
        return self.folder / "routes.yaml"

    @property
    def page(self) -> Path:
        """The web page, where it could be built."""
        return self.folder / "page"

    @property
    def lock(self) -> Path:
        """The file that the one running `local` holds."""
        return self.folder / "lock"

    @property
    def running(self) -> Path:
        """Who holds the lock, and where it answers: JSON."""
        return self.folder / "running.json"

    @property
    def port(self) -> Path:
        """The gateway's port, kept from then on."""
        return self.folder / "port"


def load_layout(workspace: Workspace) -> Layout:
    """Say where everything of a checkout's `local` lies."""
    folder = workspace.home / "local"
    return Layout(workspace.root, folder, _database_folder(folder), workspace.cache)


def leftovers(workspace: Workspace) -> list[Path]:
    """List what a checkout's `local` keeps outside the checkout's home: root's database, where it had to."""
    database = load_layout(workspace).database
    return [database] if workspace.home not in database.parents and database.exists() else []


def forget_system_folder() -> None:
    """Remove the folder of root's databases once no checkout has one there."""
    with suppress(OSError):
        _SYSTEM_FOLDER.rmdir()


def is_passable(folder: Path) -> bool:
    """Tell whether any user can reach what lies in a folder."""
    there = [each for each in (folder, *folder.parents) if each.exists()]
    return all(each.stat().st_mode & _PASSABLE for each in there)


def programs() -> Path:
    """Return the folder of the environment's own programs."""
    return Path(sys.executable).parent


def _database_folder(folder: Path) -> Path:
    if os.geteuid() == 0 and not is_passable(folder.parent):
        return _SYSTEM_FOLDER / f"local-{hashlib.sha256(str(folder).encode()).hexdigest()[:6]}"
    return folder / "postgres"
