"""Have programs that only tests need: built from Go modules, once, into the cache."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from deployer.fetch.atomic import exclusive, staging
from deployer.fetch.gomod import go_environment
from deployer.workspace import load_workspace


def go_tool(package: str) -> Path:
    """Return a program, built when the cache lacks it.

    Args:
        package: a command and its version, as `go install` takes it: "example.org/module/cmd/name@v1.2.3".
    """
    (program,) = go_tools(package)
    return program


def go_tools(*packages: str) -> list[Path]:
    """Return several programs of one module; what they share is compiled once.

    Each is built in its module's own folder, so with the versions and sums that its authors built it with.

    Args:
        packages: commands of one module at one version.
    """
    folder = load_workspace().cache / "tools"
    programs = [_place(folder, package) for package in packages]
    if all(program.exists() for program in programs):
        return programs
    with exclusive(folder / "go"):
        missing = [program for program in programs if not program.exists()]
        if missing:
            module, _, version = packages[0].partition("@")
            sources = go_module(f"{module.partition('/cmd/')[0]}@{version}")
            with staging(folder / "go") as fresh:
                commands = [f"./cmd/{program.name}" for program in missing]
                _go("build", "-trimpath", "-ldflags", "-s -w", "-o", f"{fresh}/", *commands, folder=sources)
                for program in missing:
                    program.parent.mkdir(parents=True, exist_ok=True)
                    (fresh / program.name).replace(program)
    return programs


def go_module(module: str) -> Path:
    """Return the folder of a module's sources, downloaded when the cache lacks it.

    Args:
        module: its path and version, with an @ between them.
    """
    return Path(json.loads(_go("mod", "download", "-json", module))["Dir"])


def _place(folder: Path, package: str) -> Path:
    path, _, version = package.partition("@")
    return folder / f"{path.replace('/', '_')}@{version}" / path.rpartition("/")[2]


def _go(*arguments: str, folder: Path = Path("/")) -> str:
    if shutil.which("go") is None:
        pytest.skip(f"NOT TESTED: `go {arguments[0]}` makes what this test needs, and there is no Go here")
    environment = go_environment(load_workspace().cache)
    done = subprocess.run(["go", *arguments], check=False, env=environment, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout
