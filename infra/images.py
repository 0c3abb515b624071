"""Read the image references that a build or a push wrote; a program never builds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path

from infra.errors import ConfigError

_BY_DIGEST = re.compile(r"[a-z0-9][a-z0-9./:_-]*@sha256:[0-9a-f]{64}")


@dataclass(frozen=True)
class Images:
    """Name what every pod runs, by digest.

    Attributes:
        services: the three services, one image.
        postgres: the database of stack dev.
        gateway: Traefik.
    """

    services: str
    postgres: str
    gateway: str


def load_images(path: Path, *, needed: tuple[str, ...] = ("services", "postgres", "gateway")) -> Images:
    """Read a file of image references.

    Args:
        path: JSON such as {"services": "registry.example/services@sha256:…", …}.
        needed: the names that must be in it; the others may be absent.

    Raises:
        ConfigError: it is not there, or what it names is not named by digest.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        found = None
    if not isinstance(found, dict):
        raise ConfigError(
            [f"stampchat:imagesFile names {path}, which holds no image references; build the images first."]
        )
    problems = [
        f"stampchat:imagesFile names {path}, whose {name!r} is {found.get(name)!r}, not an image named by digest."
        for name in needed
        if not (isinstance(found.get(name), str) and _BY_DIGEST.fullmatch(found[name]))
    ]
    if problems:
        raise ConfigError(problems)
    return Images(**{name: str(found.get(name, "")) for name in ("services", "postgres", "gateway")})
