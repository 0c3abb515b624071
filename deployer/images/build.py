"""Build the three images, each layer only if what it is made from has changed."""

from __future__ import annotations

import errno
import json
from dataclasses import dataclass
from pathlib import Path

from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive
from deployer.images.recipe import Recipe
from deployer.oci import ImageSpec, image_digest, write_archive
from deployer.report import Report
from deployer.versions import machine_arch
from deployer.workspace import Workspace


@dataclass(frozen=True)
class BuiltImage:
    """Name one built image.

    Attributes:
        reference: what a Pod gives, "stampchat.local/services@sha256:…".
        archive: the OCI archive that brings it into a cluster.
        size: of its layers together, in bytes.
    """

    reference: str
    archive: Path
    size: int


def build_images(workspace: Workspace, report: Report) -> dict[str, BuiltImage]:
    """Build what has changed and write the references of all three into workspace.images.

    Args:
        workspace: the checkout whose services/ goes into an image, and the cache of layers.
        report: where progress goes.

    Raises:
        DeployError: something cannot be fetched, a service's source is no Python, the disk is full.
    """
    folder = workspace.home / "images"
    try:
        with exclusive(folder):
            specs = Recipe(workspace, report).images()
            built = {name: _archive(spec, folder, report) for name, spec in specs.items()}
            _save(workspace.images, {name: image.reference for name, image in built.items()})
            _tidy(folder, keep={image.archive for image in built.values()})
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DeployError(
            f"There is no room left for the images in {workspace.cache} or {folder}.",
            advice="Free 1.5 GB, or set STAMPCHAT_CACHE to a folder on a larger disk, then run this again.",
        ) from error
    return built


def _archive(spec: ImageSpec, folder: Path, report: Report) -> BuiltImage:
    """Write the image's archive unless it is there; it is there only when it is whole."""
    digest = image_digest(spec, arch=machine_arch())
    name = spec.name.rpartition("/")[2]
    path = folder / f"{name}-{digest.removeprefix('sha256:')[:12]}.tar"
    if not path.exists():
        report.note(f"writing the image {name}")
        write_archive(spec, path, arch=machine_arch())
    return BuiltImage(f"{spec.name}@{digest}", path, sum(layer.size for layer in spec.layers))


def _save(path: Path, references: dict[str, str]) -> None:
    """Write the references, unless they stand there already."""
    text = json.dumps(references, indent=2) + "\n"
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return
    part = path.with_name(f".{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)


def _tidy(folder: Path, *, keep: set[Path]) -> None:
    """Remove archives of images that are no longer built here; layers stay in the cache."""
    for path in folder.glob("*.tar"):
        if path not in keep:
            path.unlink()
