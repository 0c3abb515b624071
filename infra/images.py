"""Read the image references that a build or a push wrote; a program never builds."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from infra.errors import ConfigError
from infra.pull_secret import pull_secret_hosts

if TYPE_CHECKING:
    from infra.config import StackConfig

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


def load_images(config: StackConfig, root: Path) -> Images:
    """Read the images that a stack needs.

    Args:
        config: the stack's.
        root: the checkout; a relative path of the file is sought there.

    Raises:
        ConfigError: the file is not there, or what it names is not named by digest.
    """
    if problems := image_problems(config, root):
        raise ConfigError(problems)
    found = _read(root / config.images_file) or {}
    return Images(**{name: str(found.get(name, "")) for name in ("services", "postgres", "gateway")})


def image_problems(config: StackConfig, root: Path) -> list[str]:
    """List what is wrong with the images that a stack names: JSON as {"services": "registry.example/x@sha256:…", …}.

    Args:
        config: the stack's.
        root: the checkout.
    """
    path = root / config.images_file
    found = _read(path)
    if found is None:
        first = "build the images first" if config.hosted is None else "`./stampchat images push` writes them"
        return [f"stampchat:imagesFile names {path}, which holds no image references; {first}."]
    return _unpullable(config, found) + [
        f"stampchat:imagesFile names {path}, whose {name!r} {problem}."
        for name in needed_images(config)
        if (problem := _problem(found.get(name)))
    ]


def needed_images(config: StackConfig) -> tuple[str, ...]:
    """Name the images that a stack runs; hosted databases and a gateway of the cluster's own need none of ours."""
    gateway = ("gateway",) if config.gateway.kind == "gateway-api" else ()
    return ("services", *(("postgres",) if config.hosted is None else ()), *gateway)


def _unpullable(config: StackConfig, found: dict[str, object]) -> list[str]:
    """Say for which registry the cluster would have no credentials, although it was given some."""
    secret = config.hosted.image_pull_secret if config.hosted is not None else None
    if secret is None or secret.sealed:
        return []
    known = {host.removeprefix("https://").partition("/")[0] for host in pull_secret_hosts(secret.reveal())}
    wanted = sorted({str(found.get(name, "")).partition("/")[0] for name in needed_images(config)} - {""})
    aliases = {"docker.io": "index.docker.io"}
    return [
        f"stampchat:imagePullSecret has no credentials for {host}, where the images are."
        for host in wanted
        if host not in known and aliases.get(host, host) not in known
    ]


def _read(path: Path) -> dict[str, object] | None:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def _problem(reference: object) -> str:
    if not isinstance(reference, str) or not reference:
        return "is missing" if reference is None else f"is {reference!r}, not an image named by digest"
    if _BY_DIGEST.fullmatch(reference):
        return ""
    tag = reference.rpartition("/")[2].partition("@")[0].partition(":")[2]
    what = f"names the tag {tag!r}, which can come to mean another image" if tag and "@" not in reference else ""
    return f"is {reference!r}, not an image named by digest" + (f": it {what}" if what else "")
