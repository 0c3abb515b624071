"""Write a stack as plain YAML for `kubectl apply`, in the original's order; no secret is in it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployer.checks import load_settings
from deployer.errors import DeployError, UsageError
from deployer.workspace import Workspace

# In a name of ours these come first, so that a folder is applied in its files' order.
_DIGITS = 2


def render(workspace: Workspace, stack: str, folder: Path) -> list[Path]:
    """Write a file a component, numbered in the order of their applying.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        folder: where to; made when absent.

    Raises:
        UsageError: the folder holds YAML already, which may have real secrets in it by now.
        DeployError: the program refuses the config, or there are no images.
    """
    settings = load_settings(workspace, stack)
    if folder.exists() and list(folder.glob("*.yaml")):
        raise UsageError(
            f"{folder} holds YAML already, perhaps with secrets that you filled in; it is not written over.",
            advice="Name another folder, or move it away.",
        )
    parts: dict[str, list[dict[str, Any]]] = {}
    for item in _rehearse(workspace, stack, settings["config"]):
        parts.setdefault(item["component"], []).append(item["manifest"])
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for number, (component, manifests) in enumerate(parts.items(), start=1):
        path = folder / f"{number:0{_DIGITS}}-{component}.yaml"
        path.write_text(yaml.safe_dump_all(manifests, sort_keys=False, allow_unicode=True), encoding="utf-8")
        paths.append(path)
    return paths


def _rehearse(workspace: Workspace, stack: str, config: Mapping[str, object]) -> list[dict[str, Any]]:
    values = dict(config)
    # Where `images build` and `up` write them, unless the stack names another file.
    values.setdefault("stampchat:imagesFile", str(workspace.images))
    done = subprocess.run(
        [sys.executable, "-m", "stacks.render"],
        input=json.dumps({"stack": stack, "config": values, "root": str(workspace.root)}, default=str),
        cwd=workspace.root,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise DeployError(f"Stack {stack} cannot be rendered.", said=done.stderr, advice="Nothing was written.")
    return list(json.loads(done.stdout))
