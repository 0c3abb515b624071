"""Build the three images, each layer only if what it is made from has changed."""

from __future__ import annotations

import errno
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from deployer import oci
from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive
from deployer.fetch.seal import is_intact, seal
from deployer.files import write_whole
from deployer.images.platforms import parse_platforms
from deployer.images.recipe import Recipe
from deployer.oci import Built
from deployer.report import Report
from deployer.workspace import Workspace

# Enough of a digest for a file's name.
SHORT = 12


@dataclass(frozen=True)
class BuiltImage:
    """Name one built image.

    Attributes:
        reference: what a Pod gives, "stampchat.local/services@sha256:…".
        archive: the OCI archive that brings it into a cluster.
        size: of its layers together, in bytes; of all platforms where there are several.
        builds: the image for each platform.
    """

    reference: str
    archive: Path
    size: int
    builds: tuple[Built, ...] = ()

    @property
    def digest(self) -> str:
        """What the reference names."""
        return self.reference.rpartition("@")[2]

    def beside(self, built: Built, suffix: str) -> Path:
        """Return where a document about one platform's image lies, beside its archive."""
        name = self.reference.partition("@")[0].rpartition("/")[2]
        return self.archive.with_name(f"{name}-{_short(built.digest)}-{built.arch}.{suffix}")


def build_images(
    workspace: Workspace,
    report: Report,
    *,
    registry: str = "",
    platforms: Sequence[str] = (),
) -> dict[str, BuiltImage]:
    """Build what has changed and write the references of all three into workspace.images.

    Args:
        workspace: the checkout whose services/ goes into an image, and the cache of layers.
        report: where progress goes.
        registry: what the references begin with; versions.toml's own name, which no registry has, unless said.
        platforms: as "linux/arm64"; this machine's unless said. Several make an index over them.

    Raises:
        DeployError: something cannot be fetched, a service's source is no Python, the disk is full.
    """
    built = make_images(workspace, report, registry=registry, platforms=platforms)
    save_references(workspace.images, {name: image.reference for name, image in built.items()})
    return built


def make_images(
    workspace: Workspace, report: Report, *, registry: str = "", platforms: Sequence[str] = ()
) -> dict[str, BuiltImage]:
    """Build what has changed and write no references; see build_images for the rest."""
    folder = workspace.home / "images"
    recipes = [Recipe(workspace, report, arch=arch, registry=registry) for arch in parse_platforms(platforms)]
    with _room(workspace.cache, folder), exclusive(folder):
        made = [(recipe.arch, recipe.images()) for recipe in recipes]
        built = {
            name: _archive(spec.name, [oci.build(specs[name], arch=arch) for arch, specs in made], folder, report)
            for name, spec in made[0][1].items()
        }
        _tidy(folder, keep=built.values())
    return built


def save_references(path: Path, references: Mapping[str, str]) -> None:
    """Write the file of references that the programs read, whole or not at all, and only if it changes.

    Args:
        path: where.
        references: by the image's name.
    """
    text = json.dumps(dict(references), indent=2) + "\n"
    if path.exists() and path.read_bytes() == text.encode():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, text)


def _archive(name: str, builds: Sequence[Built], folder: Path, report: Report) -> BuiltImage:
    """Write the image's archive unless it is there, whole."""
    digest = oci.digest_of_all(builds)
    short = name.rpartition("/")[2]
    path = folder / f"{short}-{_short(digest)}.tar"
    if not is_intact(path):
        report.note(f"writing the image {short}")
        oci.write_archive_of(name, builds, path)
        seal(path)
    layers = {layer.digest: layer.size for each in builds for layer in each.layers}
    return BuiltImage(f"{name}@{digest}", path, sum(layers.values()), tuple(builds))


@contextmanager
def _room(*folders: Path) -> Iterator[None]:
    """Say what to do about a full disk."""
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise DeployError(
            f"There is no room left for the images in {' or '.join(map(str, folders))}.",
            advice="Free 1.5 GB, or set STAMPCHAT_CACHE to a folder on a larger disk, then run this again.",
        ) from error


def _tidy(folder: Path, *, keep: Collection[BuiltImage]) -> None:
    """Remove archives of images that are no longer built here, and what lies beside them; layers stay in the cache."""
    archives = {image.archive for image in keep}
    digests = [_short(each.digest) for image in keep for each in image.builds]
    for path in folder.glob("*.tar"):
        if path not in archives:
            path.unlink()
            path.with_name(f".{path.name}.seal").unlink(missing_ok=True)
    for path in [*folder.glob("*.json"), *folder.glob("*.txt")]:
        if not any(digest in path.name for digest in digests):
            path.unlink()


def _short(digest: str) -> str:
    return digest.removeprefix("sha256:")[:SHORT]
