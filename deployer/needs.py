"""Say what the cache lacks for an `up` that neither builds nor fetches anything."""

from __future__ import annotations

from dataclasses import dataclass

from deployer import cluster
from deployer.engine import is_engine_at_hand
from deployer.images import kept
from deployer.plugins.install import is_start_file_at_hand
from deployer.versions import load_versions
from deployer.workspace import Workspace


@dataclass(frozen=True)
class Needs:
    """Say what the cache still lacks.

    Attributes:
        builds: what has to be compiled or downloaded by Go.
        packages: what has to come from Debian.
        wheels: what has to come from Python's registry.
    """

    builds: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    wheels: tuple[str, ...] = ()

    @property
    def cold(self) -> bool:
        """Whether something has yet to be built."""
        return bool(self.builds)

    @property
    def all(self) -> tuple[str, ...]:
        """All of it."""
        return (*self.builds, *self.packages, *self.wheels)


def find_needs(workspace: Workspace, ground: cluster.Ground = "embedded") -> Needs:
    """Say what the cache lacks, by where it comes from.

    Args:
        workspace: the checkout.
        ground: what makes the cluster; only the embedded one is built here.
    """
    parts = cluster.lacking(workspace, ground)
    layers = kept.lacking(workspace)
    version = load_versions()["engine"]["version"]
    engine = [] if is_engine_at_hand(workspace) else [f"Pulumi {version}"]
    start = [] if is_start_file_at_hand(workspace) or engine else ["Pulumi's start-up file for Python programs"]
    packages = [part for part in (*parts, *layers) if "Debian packages" in part]
    return Needs(
        builds=(*engine, *start, *(part for part in parts if part not in packages)),
        packages=tuple(packages),
        wheels=tuple(part for part in layers if part not in packages),
    )
