"""Make what the comparison needs besides the checkout: the generator's Python packages, and the peer's binary."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE.parent / "requirements.lock"
PEER = HERE / "peer"
BUILD_SECONDS = 900


class MissingError(Exception):
    """Something cannot be had here."""


def cache_folder() -> Path:
    """Return where everything that is made once is kept."""
    return Path(os.environ.get("STAMPCHAT_CACHE") or Path.home() / ".cache" / "stampchat")


def generator_python() -> Path:
    """Return the Python of the load generator's environment, made from its lock file when there is none.

    Raises:
        MissingError: it cannot be made.
    """
    folder = cache_folder() / "bench" / f"venv-{_digest(LOCK)}"
    python = folder / "bin" / "python"
    if not (folder / "ready").exists():
        shutil.rmtree(folder, ignore_errors=True)
        _run([sys.executable, "-m", "venv", folder], "an environment for the load generator cannot be made")
        install: list[str | Path] = [
            python,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--require-hashes",
        ]
        _run([*install, "-r", LOCK], "the load generator's packages cannot be installed")
        (folder / "ready").touch()
    return python


def peer_binary() -> Path:
    """Return the peer's binary, built when there is none of these sources.

    Raises:
        MissingError: there is no Go, or no module proxy.
    """
    digest = _digest(*(PEER / name for name in ("main.go", "go.mod", "go.sum")))
    binary = cache_folder() / "bench" / f"peer-{digest}"
    if not binary.exists():
        go = shutil.which("go")
        if go is None:
            raise MissingError("there is no Go on PATH, so centrifuge cannot be built")
        binary.parent.mkdir(parents=True, exist_ok=True)
        caches = cache_folder() / "go"
        environ = os.environ | {"GOMODCACHE": str(caches / "mod"), "GOCACHE": str(caches / "build"), "GOWORK": "off"}
        _run([go, "build", "-o", binary, "."], "centrifuge cannot be built", cwd=PEER, environ=environ)
    return binary


def _digest(*paths: Path) -> str:
    together = hashlib.sha256()
    for path in paths:
        together.update(path.read_bytes())
    return together.hexdigest()[:16]


def _run(command: Sequence[str | Path], what: str, *, cwd: Path = HERE, environ: dict[str, str] | None = None) -> None:
    try:
        subprocess.run(command, cwd=cwd, env=environ, check=True, capture_output=True, text=True, timeout=BUILD_SECONDS)
    except subprocess.CalledProcessError as error:
        raise MissingError(f"{what}: {error.stderr.strip()[-500:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise MissingError(f"{what}: {error}") from error
