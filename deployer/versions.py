"""Read versions.toml, the one place for versions and addresses of what is not a Python package."""

from __future__ import annotations

import platform
import tomllib
from functools import cache
from typing import Any

from deployer.errors import UsageError
from deployer.workspace import ROOT

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


@cache
def load_versions() -> dict[str, Any]:
    """Return versions.toml as nested dicts."""
    return tomllib.loads((ROOT / "versions.toml").read_text(encoding="utf-8"))


def project_version() -> str:
    """Return this project's own version, from pyproject.toml."""
    return str(tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"])


def machine_arch() -> str:
    """Name this machine's processor in Go's words.

    Raises:
        UsageError: nothing is released for this processor.
    """
    machine = platform.machine().lower()
    if machine not in _ARCHITECTURES:
        raise UsageError(
            f"This machine's processor is {machine!r}; StampChat runs on amd64 and arm64.",
            advice="Use such a machine, or name a cluster that runs on one.",
        )
    return _ARCHITECTURES[machine]


def machine_os() -> str:
    """Name this machine's operating system in Go's words (linux, darwin)."""
    return platform.system().lower()
