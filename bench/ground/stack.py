"""Stack dev as a person runs it: by our own command line, in a copy of the checkout."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.ground.programs import Parts, find_shim
from bench.ground.trace import Work, read_work, watch_plugin
from deployer.checks import load_settings
from deployer.pulumi_process import Pulumi
from deployer.report import Silent
from deployer.stack import open_stack
from deployer.workspace import Workspace, load_workspace
from tests.checkouts import Copy

_STACK = "dev"


@dataclass(frozen=True)
class Dev:
    """Run stack dev.

    Attributes:
        copy: the copy of the checkout.
        notes: where the plugin notes what it does, when it is watched.
    """

    copy: Copy
    notes: Path

    def up(self) -> Parts:
        """Bring it up."""
        steps = {step["step"]: step["seconds"] for step in self.copy.json("up")["steps"]}
        return {"its step update": steps["update"]}

    def up_again(self) -> Parts:
        """Bring it up, and find nothing to change."""
        self.copy.run("up")
        return {}

    def preview(self) -> Parts:
        """Plan, and find nothing to change."""
        self.copy.run("preview")
        return {}

    def destroy(self) -> Parts:
        """Take it away."""
        self.copy.run("destroy", "--yes")
        return {}

    def refresh(self) -> Parts:
        """Look at what is there, by the engine alone."""
        self._engine().read("refresh", "--yes", "--skip-preview")
        return {}

    def engine_preview(self) -> Callable[[], object]:
        """Return what plans by the engine alone, without policies, and has the plugin note what it does."""
        engine = self._engine()
        # Every command of ours writes the plugin's own shim anew, so this lasts until the next one.
        watch_plugin(find_shim(self._workspace.pulumi_home), self.notes)
        return lambda: engine.read("preview", "--expect-no-changes")

    def work(self, seconds: float) -> Work | None:
        """Return what the plugin did in the last command, if it was watched."""
        return read_work(self.notes, seconds) if self.notes.exists() else None

    def export(self) -> dict[str, Any]:
        """Return the state, with its secrets."""
        return dict(json.loads(self._engine().read("stack", "export", "--show-secrets")))

    @property
    def kubeconfig(self) -> Path:
        """The way to its cluster."""
        return self._workspace.cluster / "kubeconfig"

    @property
    def _workspace(self) -> Workspace:
        return Workspace(root=self.copy.root, home=self.copy.root / ".stampchat", cache=load_workspace().cache)

    def _engine(self) -> Pulumi:
        return open_stack(self._workspace, _STACK, load_settings(self._workspace, _STACK), Silent())
