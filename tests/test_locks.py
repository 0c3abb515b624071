"""The lock files: whole, so that nothing has to be resolved when they are installed, and without an address."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from deployer.workspace import ROOT

LOCKS = sorted([*ROOT.glob("requirements*.lock"), *ROOT.glob("bench/requirements*.lock")])
INSTALLED: dict[str, Distribution] = {canonicalize_name(found.metadata["Name"]): found for found in distributions()}


def locked(text: str) -> dict[str, str]:
    """Return the version of each package that a lock names."""
    return {canonicalize_name(name): version for name, version in re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE)}


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_all_that_its_packages_need(lock: Path) -> None:
    """What is installed here says what it needs; a lock that lacks some would fail at the first import."""
    packages = locked(lock.read_text())
    missing = [
        f"{name} needs {requirement}"
        for name, version in packages.items()
        if name in INSTALLED
        if INSTALLED[name].version == version
        for text in INSTALLED[name].requires or []
        if (requirement := Requirement(text)).marker is None or requirement.marker.evaluate({"extra": ""})
        if canonicalize_name(requirement.name) not in packages
    ]

    assert len(packages) > 3
    assert missing == []


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_a_lock_names_hashes_and_no_address(lock: Path) -> None:
    """Each package, and nothing of where it comes from."""
    text = lock.read_text()

    assert "://" not in text
    assert text.count("--hash=sha256:") >= len(locked(text))
