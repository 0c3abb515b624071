"""Real images, built from the shared cache into folders of the test's own."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deployer.images import BuiltImage, build_images
from deployer.report import Silent
from deployer.workspace import ROOT, Workspace, load_workspace

LOCKS = ("requirements-services.lock", "requirements-images.lock", "debian-images.lock")


@dataclass(frozen=True)
class Opened:
    """Show an archive as a reader that knows only the specification sees it."""

    manifest: dict[str, Any]
    config: dict[str, Any]
    layers: list[str]
    root: Path


def new_workspace(folder: Path, *, cache: Path | None = None) -> Workspace:
    """Return a checkout with a copy of the services and the page, and nothing built."""
    root = folder / "checkout"
    shutil.copytree(ROOT / "services", root / "services", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "web", root / "web")
    for lock in LOCKS:
        shutil.copy(ROOT / lock, root / lock)
    return Workspace(root=root, home=root / ".stampchat", cache=cache or load_workspace().cache)


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, BuiltImage]]:
    """Build the three images once; slow (30 s, network) only while the shared cache is cold."""
    workspace = new_workspace(tmp_path_factory.mktemp("images"))
    return workspace, build_images(workspace, Silent())


@pytest.fixture(scope="session")
def opened(
    built: tuple[Workspace, dict[str, BuiltImage]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Callable[[str], Opened]:
    """Return a function that unpacks an image by its name, once."""
    known: dict[str, Opened] = {}

    def open_image(name: str) -> Opened:
        if name not in known:
            known[name] = open_archive(built[1][name].archive, tmp_path_factory.mktemp(name))
        return known[name]

    return open_image


def open_archive(archive: Path, folder: Path) -> Opened:
    """Follow index, manifest and configuration; unpack the layers over each other."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder / "layout", filter="data")
    layout = folder / "layout"
    (described,) = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifest = json.loads(_blob(layout, described["digest"]).read_bytes())
    config = json.loads(_blob(layout, manifest["config"]["digest"]).read_bytes())
    for layer in manifest["layers"]:
        with tarfile.open(_blob(layout, layer["digest"])) as tar:
            tar.extractall(folder / "root", filter="fully_trusted")  # noqa: S202  # links of the image point where they point
    return Opened(manifest, config, [layer["digest"] for layer in manifest["layers"]], folder / "root")


def _blob(layout: Path, digest: str) -> Path:
    return layout / "blobs" / digest.replace(":", "/")
