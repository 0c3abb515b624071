"""Read the commands of docs/migration.md, so that what is tried is what stands there."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.workspace import ROOT

_STEP = re.compile(r"<!-- step: ([a-z-]+) -->\n```sh\n(.*?)```", re.DOTALL)
SECONDS = 600


def read_steps() -> dict[str, str]:
    """Return the commands of each step that is marked, in the order of the page."""
    return dict(_STEP.findall((ROOT / "docs" / "migration.md").read_text(encoding="utf-8")))


@dataclass(frozen=True)
class Shell:
    """Run steps as somebody would who has one shell open for all of them.

    Attributes:
        folder: where it stands.
        path: folders that come before the usual ones.
        variables: of the environment.
        answers: what is set after the page's own variables.
    """

    folder: Path
    path: Sequence[Path]
    variables: Mapping[str, str]
    answers: Mapping[str, str]

    def run(self, *names: str) -> str:
        """Run steps, after those that define what they use; return what they print.

        Raises:
            AssertionError: a command failed.
        """
        steps = read_steps()
        settled = "".join(f"{name}={value}\n" for name, value in self.answers.items())
        known = [steps["variables"], settled, steps["helpers"]]
        definitions = [steps[name] for name in ("move", "back") if name not in names]
        script = "set -euo pipefail\n" + "\n".join([*known, *definitions, *(steps.get(name, name) for name in names)])
        environ = {**os.environ, **self.variables}
        environ["PATH"] = os.pathsep.join([*map(str, self.path), environ.get("PATH", "")])
        done = subprocess.run(
            ["bash", "-c", script],
            cwd=self.folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{names}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout
