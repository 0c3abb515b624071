"""Write objects as YAML files in place of applying them: the provider's `renderYamlToDirectory`.

The folders and the names of the files are the official plugin's, so that either takes up what the other has written.
https://www.pulumi.com/registry/packages/kubernetes/api-docs/provider/#inputs
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.files import write_private
from deployer.plugins.kubernetes.errors import KubernetesError
from deployer.plugins.kubernetes.kinds import patches_only
from deployer.plugins.kubernetes.manifest import name_of, namespace_of, object_id
from deployer.plugins.kubernetes.normalise import dashed
from deployer.plugins.kubernetes.state import choose_field_manager, read_checkpoint, write_checkpoint
from deployer.plugins.values import has_secret, has_unknown, reveal

_DEFINITIONS = "0-crd"
_MANIFESTS = "1-manifest"


@dataclass(frozen=True)
class Rendering:
    """Carry one resource through its life as a file; no cluster is asked for anything.

    Attributes:
        folder: where the files are.
        urn: the resource.
        server_side: whether updates would be applied by the server, which the state notes.
        tell: shows one line beside the resource.
        warn: says what the user should know.
    """

    folder: Path
    urn: str
    server_side: bool
    tell: Callable[[str], None]
    warn: Callable[[str], None]

    def create(self, given: dict[str, Any], *, preview: bool) -> tuple[str, dict[str, Any]]:
        """Write the file; return the object's id and its outputs.

        Raises:
            KubernetesError: the file cannot be written, or the resource changes an object that no file has.
        """
        inputs = dashed(reveal(given))
        manager = choose_field_manager(inputs, "", server_side=self.server_side)
        return self._render(inputs, given, preview=preview, version=str(inputs["apiVersion"]), manager=manager)

    def update(
        self, olds: dict[str, Any], given: dict[str, Any], *, ignored: tuple[str, ...], preview: bool
    ) -> dict[str, Any]:
        """Write the file anew, and remove the old one where it has another name; return the outputs."""
        del ignored  # the engine has put the old values into the inputs
        inputs, old = dashed(reveal(given)), read_checkpoint(olds)
        manager = choose_field_manager(inputs, old.field_manager, server_side=self.server_side)
        _, outputs = self._render(inputs, given, preview=preview, version=old.initial_api_version, manager=manager)
        if not preview and path_of(self.folder, old.live) != path_of(self.folder, inputs):
            path_of(self.folder, old.live).unlink(missing_ok=True)
        return outputs

    def read(
        self, identifier: str, state: dict[str, Any], given: dict[str, Any]
    ) -> tuple[str, dict[str, Any], dict[str, Any]]:
        """Return what the state has: nothing else knows of the object.

        Raises:
            KubernetesError: the state has nothing, since it is to be imported.
        """
        if not state:
            raise KubernetesError(
                f"{identifier} cannot be imported by a provider that renders to {self.folder}.",
                advice="Import it by a provider without renderYamlToDirectory.",
            )
        return identifier, state, given

    def delete(self, identifier: str, state: dict[str, Any]) -> None:
        """Remove the file."""
        del identifier
        path_of(self.folder, read_checkpoint(state).live).unlink(missing_ok=True)

    def _render(
        self, inputs: dict[str, Any], given: dict[str, Any], *, preview: bool, version: str, manager: str
    ) -> tuple[str, dict[str, Any]]:
        if patches_only(self.urn):
            raise KubernetesError("A patch cannot be rendered: the object that it changes is in no file.")
        if preview and has_unknown(given):
            return "", given
        path = path_of(self.folder, inputs)
        if not preview:
            if has_secret(given):
                self.warn(f"{path} holds a secret that everybody can read who can read the file.")
            _write(path, inputs)
            self.tell(f"rendered {path}")
        outputs = write_checkpoint(
            inputs=inputs, live=inputs, given=given, initial_api_version=version, field_manager=manager
        )
        return object_id(inputs), outputs


def path_of(folder: Path, manifest: Mapping[str, Any]) -> Path:
    """Return the file of an object."""
    version = str(manifest.get("apiVersion", "")).replace("/", "_").replace(":", "_")
    kind = str(manifest.get("kind", ""))
    part = _DEFINITIONS if kind == "CustomResourceDefinition" else _MANIFESTS
    namespace = namespace_of(manifest) or "default"
    name = name_of(manifest).replace("/", "_").replace(":", "_")
    return folder / part / f"{version}-{kind.lower()}-{namespace}-{name}.yaml"


def _write(path: Path, manifest: Mapping[str, Any]) -> None:
    import yaml

    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_private(path, yaml.safe_dump(dict(manifest), sort_keys=True, allow_unicode=True))
    except OSError as error:
        raise KubernetesError(
            f"{path} cannot be written.", said=str(error), advice="Name another folder in renderYamlToDirectory."
        ) from error
