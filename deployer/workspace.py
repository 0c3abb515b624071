"""Know where everything of one checkout lies, and where the shared cache is."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Workspace:
    """Name the folders of one checkout; two checkouts share nothing but the cache.

    Attributes:
        root: the checkout.
        home: the ignored folder that holds all that our commands make (default ROOT/.stampchat).
        cache: downloads and builds that any checkout may use (default ~/.cache/stampchat).
    """

    root: Path
    home: Path
    cache: Path

    @property
    def state(self) -> Path:
        """The engine's self-managed backend, its passphrase and the generated project folder."""
        return self.home / "pulumi"

    @property
    def pulumi_home(self) -> Path:
        """The engine's own home: plugins and the selected stack, never the user's ~/.pulumi."""
        return self.home / "pulumi-home"

    @property
    def cluster(self) -> Path:
        """Everything that the embedded cluster keeps on disk."""
        return self.home / "cluster"

    @property
    def images(self) -> Path:
        """The file of built image references: {"services": "stampchat.local/services@sha256:…", …}."""
        return self.home / "images.json"

    @property
    def instance(self) -> Path:
        """The name, network number and port that this checkout was given: JSON."""
        return self.home / "instance.json"


def load_workspace(environ: dict[str, str] | None = None) -> Workspace:
    """Find the checkout and the cache.

    Args:
        environ: the environment to read; STAMPCHAT_HOME and STAMPCHAT_CACHE move the two folders.
    """
    env = dict(os.environ) if environ is None else environ
    home = Path(env.get("STAMPCHAT_HOME") or ROOT / ".stampchat")
    cache = Path(env.get("STAMPCHAT_CACHE") or Path.home() / ".cache" / "stampchat")
    return Workspace(root=ROOT, home=home.resolve(), cache=cache.resolve())
