"""Say which layers of the images the cache has, and make none."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from deployer.errors import DeployError
from deployer.fetch.debian import absent, fetch_packages
from deployer.images.packages import LOCK, Packages
from deployer.images.recipe import Recipe
from deployer.images.store import LayerStore
from deployer.oci import Entry, Layer
from deployer.report import Report, Silent
from deployer.versions import load_versions, machine_arch
from deployer.web.modules import packages_folder
from deployer.workspace import Workspace

_GROUPS = ("base", "python", "postgres")


class LayerMissingError(DeployError):
    """Say that a layer is not in the cache."""


class _Kept(LayerStore):
    """Find layers, and refuse to make one."""

    def layer(self, name: str, key: str, build: Callable[[], Iterable[Entry]]) -> Layer:
        """Return the layer of this key.

        Raises:
            LayerMissingError: it is not there.
        """
        del build
        kept = self.find(name, key)
        if kept is None:
            raise LayerMissingError(f"The {name} layer is not in the cache.")
        return kept


def lacking(workspace: Workspace) -> list[str]:
    """List what building the images would have to fetch, for people; code that changed is no more than compiled.

    Args:
        workspace: the checkout and the cache; nothing in them is changed.
    """
    if packages := absent(_specs(workspace), cache=workspace.cache):
        return [f"{len(packages)} Debian packages of the images"]
    page = [] if packages_folder(workspace.root / "web", workspace.cache).is_dir() else ["the page's npm packages"]
    try:
        _recipe(workspace, Silent()).fetched_layers()
    except LayerMissingError:
        return ["the images' layers", *page]
    return page


def files(workspace: Workspace, report: Report) -> list[Path]:
    """Return every file of the cache that makes the images elsewhere; they must have been built here.

    Args:
        workspace: the checkout and the cache.
        report: where progress goes.

    Raises:
        DeployError: they were not.
    """
    specs = _recipe(workspace, report).images()
    layers = [path for spec in specs.values() for layer in spec.layers for path in (layer.path, record_of(layer))]
    packages = fetch_packages(_specs(workspace), cache=workspace.cache, report=report)
    page = packages_folder(workspace.root / "web", workspace.cache)
    modules = [path for path in sorted(page.rglob("*")) if path.is_file() and not path.is_symlink()]
    return [*dict.fromkeys(layers), *packages, *modules]


def record_of(layer: Layer) -> Path:
    """Return the file beside a layer that says what is in it."""
    return layer.path.with_name(layer.path.name.removesuffix(".tar.gz") + ".json")


def _recipe(workspace: Workspace, report: Report) -> Recipe:
    return Recipe(workspace, report, store=_Kept(workspace.cache / "layers"))


def _specs(workspace: Workspace) -> list[str]:
    names = [name for group in _GROUPS for name in load_versions()["images"][group]]
    return Packages(workspace.root / LOCK, machine_arch(), workspace.cache, Silent()).specs(names)
