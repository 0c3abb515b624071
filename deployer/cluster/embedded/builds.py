"""Build the box's programs from their Go modules, each under a name that says from which sources."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.cluster.embedded.checks import check_space
from deployer.fetch.gomod import go_build
from deployer.fetch.seal import is_intact, seal
from deployer.report import Report
from deployer.versions import machine_arch
from deployer.workspace import Workspace

SOURCES = Path(__file__).parent / "go"


@dataclass(frozen=True)
class Program:
    """Say what is built, and from what.

    Attributes:
        what: what it is called to a person.
        package: what Go builds.
        module: the folder of its go.mod.
        sources: those, besides go.mod and go.sum, that a change in makes a new program of.
        pinned: whether new pins make a new program; one that uses the standard library alone has none.
        flags: the linker's, besides those that leave out symbols.
        space: how many bytes a cold build takes, Go's caches included; a build that runs out of disk after minutes is
            worth a check before.
    """

    what: str
    package: str
    module: str = "."
    sources: Sequence[str] = ()
    pinned: bool = True
    flags: str = ""
    space: int = 5 << 30


def place(name: str, program: Program, cache: Path) -> Path:
    """Return where a program lies, built or not.

    Args:
        name: what its file is called.
        program: what it is built from.
        cache: the cache folder.
    """
    source = SOURCES / program.module
    files = [source / "go.mod", source / "go.sum"] if program.pinned else []
    files += sorted(file for pattern in program.sources for file in source.glob(pattern))
    key = key_of(*[file.read_bytes() for file in files], program.flags.encode(), machine_arch().encode())
    return cache / "cluster" / f"{name}-{key}"


def build(name: str, program: Program, workspace: Workspace, report: Report) -> Path:
    """Return a program, built when the cache lacks it, or has it damaged.

    Args:
        name: what its file is called.
        program: what it is built from.
        workspace: whose cache.
        report: where progress goes.

    Raises:
        DeployError: Go is missing, the disk is full, or the build failed.
    """
    output = place(name, program, workspace.cache)
    if not is_intact(output):
        check_space(workspace.cache, program.space, f"to build {program.what.partition(' (')[0]}")
        source = SOURCES / program.module
        what, flags = program.what, program.flags
        go_build(source, program.package, output, cache=workspace.cache, ldflags=flags, what=what, report=report)
        seal(output)
    return output


def key_of(*parts: bytes) -> str:
    """Return a short name for what something is made of."""
    digest = hashlib.sha256()
    for part in parts:
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]
