"""Put the stand-ins for docker, kind and k3d onto a PATH, and say what goes wrong with them."""

from __future__ import annotations

import json
import os
import signal
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STAND_IN = Path(__file__).with_name("stand_in.py")


@dataclass(frozen=True)
class StandIns:
    """Name what is installed.

    Attributes:
        folder: where the programs and the file of "Docker" are.
        environ: what a command needs to find and to drive them.
    """

    folder: Path
    environ: dict[str, str]

    def state(self) -> dict[str, Any]:
        """Return what "Docker" has, and what its commands were asked."""
        path = self.folder / "docker.json"
        loaded: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        return {"fault": "", "clusters": {}, "images": [], "calls": [], **loaded}

    def break_by(self, fault: str) -> None:
        """Have something go wrong from now on: away, denied, old, hang, init or load; "" for nothing."""
        (self.folder / "docker.json").write_text(json.dumps({**self.state(), "fault": fault}), encoding="utf-8")

    def calls(self, *words: str) -> list[list[str]]:
        """List the commands that began with some words."""
        return [call for call in self.state()["calls"] if call[: len(words)] == list(words)]

    def end(self) -> None:
        """End what still passes connections on."""
        for cluster in self.state()["clusters"].values():
            if cluster["proxy"]:
                with suppress(ProcessLookupError):
                    os.kill(cluster["proxy"], signal.SIGKILL)


def install(folder: Path, kubeconfig: Path, *, node: str = "127.0.0.1", importing: list[str] | None = None) -> StandIns:
    """Install all three.

    Args:
        folder: where.
        kubeconfig: of the cluster that they hand out.
        node: its node's address.
        importing: a command that imports the archive which is added to it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("docker", "kind", "k3d"):
        program = folder / name
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I "{STAND_IN}" {name} "$@"\n', encoding="utf-8")
        program.chmod(0o755)
    environ = {
        "PATH": f"{folder}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "STAND_IN_FOLDER": str(folder),
        "STAND_IN_KUBECONFIG": str(kubeconfig),
        "STAND_IN_NODE": node,
        "STAND_IN_IMPORT": json.dumps(importing or []),
    }
    return StandIns(folder, environ)
