"""Make the project folder that the engine works in, so that the checkout stays as it was cloned.

The engine writes the encryption salt into Pulumi.STACK.yaml. It gets a copy of the project to do that in:
`main` points back to the checkout, and the stack's file is the tracked one plus what only this checkout knows.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from deployer.errors import DeployError, UsageError
from deployer.files import write_program, write_whole
from deployer.workspace import Workspace

_SALT = "encryptionsalt"
IS_NOT_OURS = (
    "The stack's secrets were encrypted with another passphrase than .stampchat/pulumi/passphrase, or the variable "
    "PULUMI_CONFIG_PASSPHRASE, holds. Put the right one there. Nothing was changed."
)


def project_folder(workspace: Workspace) -> Path:
    """Name the generated project folder."""
    return workspace.state / "project"


def passphrase_file(workspace: Workspace) -> Path:
    """Name the file of the passphrase that encrypts the stack's secrets, mode 0600."""
    return workspace.state / "passphrase"


def state_file(workspace: Workspace, stack: str) -> Path:
    """Name the engine's checkpoint of a stack."""
    project = str(load_project(workspace)["name"])
    return workspace.state / "backend" / ".pulumi" / "stacks" / project / f"{stack}.json"


def load_project(workspace: Workspace) -> dict[str, Any]:
    """Return the checkout's Pulumi.yaml."""
    loaded = yaml.safe_load((workspace.root / "Pulumi.yaml").read_text(encoding="utf-8"))
    return dict(loaded)


def load_checkpoint(workspace: Workspace, stack: str) -> dict[str, Any]:
    """Return the newest state of a stack as the engine stored it; empty before the first update.

    Raises:
        DeployError: its file is damaged.
    """
    path = state_file(workspace, stack)
    if not path.exists():
        return {}
    found = read_state(path)
    if found is None:
        raise DeployError(
            f"The state of stack {stack} is damaged: {path} cannot be read.",
            advice=f"`./stampchat up {stack}` goes on from the engine's own copy of it, and nothing is lost.",
        )
    return found


def read_state(path: Path) -> dict[str, Any] | None:
    """Return what the engine stored in a file of its backend; None for a file that is damaged."""
    try:
        checkpoint = json.loads(path.read_text(encoding="utf-8"))["checkpoint"] or {}
        return dict(checkpoint.get("latest") or {})
    except (OSError, ValueError, TypeError, LookupError, AttributeError):
        return None


def write_project(workspace: Workspace, stack: str, tracked: Mapping[str, Any], local: Mapping[str, object]) -> Path:
    """Write the generated project for one stack.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        tracked: the content of the checkout's Pulumi.STACK.yaml.
        local: values that only this checkout knows, by full key; they win over the tracked ones.

    Returns:
        The folder, for the engine to run in.
    """
    folder = project_folder(workspace)
    folder.mkdir(parents=True, exist_ok=True)
    (workspace.state / "backend").mkdir(exist_ok=True)
    ensure_passphrase(workspace, stack, tracked)
    project = load_project(workspace)
    project["main"] = str(workspace.root / str(project.get("main", ".")))
    # The environment that runs this command has every package that the program needs.
    project["runtime"] = {"name": "python", "options": {"virtualenv": sys.prefix}}
    _write(folder / "Pulumi.yaml", yaml.safe_dump(project, sort_keys=False))
    path = folder / f"Pulumi.{stack}.yaml"
    settings = {**tracked, "config": {**(tracked.get("config") or {}), **local}}
    salt = settings.get(_SALT) or _known_salt(workspace, stack, path)
    if salt:
        settings[_SALT] = salt
    _write(path, yaml.safe_dump(settings, sort_keys=False))
    return folder


def write_policy_pack(workspace: Workspace) -> Path:
    """Write a policy pack that runs the checkout's own in the environment that runs this command, and return it.

    The checkout's names `.venv` for whoever runs the engine by hand, which need not be where we run. A pack that is a
    program is started by the engine itself, by no language host, and need not load all of Pulumi.
    """
    workspace.state.mkdir(parents=True, exist_ok=True)
    pack = workspace.state / "stampchat-policy"
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(workspace.root)!r}); from deployer.plugins import bare; "
        f"bare.lighten(); runpy.run_path({str(workspace.root / 'policy')!r}, run_name='__main__')"
    )
    write_program(pack, code)
    return pack


def _known_salt(workspace: Workspace, stack: str, path: Path) -> str | None:
    """Find the salt where the engine left it: in the generated file, or, should that be lost, in the state."""
    with contextlib.suppress(FileNotFoundError, ValueError, yaml.YAMLError):
        settings = yaml.safe_load(path.read_text(encoding="utf-8"))
        if isinstance(settings, dict) and settings.get(_SALT):
            return str(settings[_SALT])
    providers = load_checkpoint(workspace, stack).get("secrets_providers") or {}
    salt = (providers.get("state") or {}).get("salt")
    return str(salt) if salt else None


def passphrase_place(workspace: Workspace) -> str:
    """Name where the passphrase comes from, for people."""
    if "PULUMI_CONFIG_PASSPHRASE" in os.environ:
        return "the variable PULUMI_CONFIG_PASSPHRASE"
    return str(team_passphrase_file(workspace))


def team_passphrase_file(workspace: Workspace) -> Path:
    """Return the file with the passphrase of a stack that a team deploys: one that the environment names, or ours."""
    return Path(os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE") or passphrase_file(workspace))


def ensure_passphrase(workspace: Workspace, stack: str, tracked: Mapping[str, Any]) -> None:
    """Make a passphrase for a stack that has nothing encrypted yet; a new one would open nothing of what there is.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        tracked: the content of the checkout's Pulumi.STACK.yaml.

    Raises:
        UsageError: the passphrase of what is encrypted already is not here.
    """
    path = passphrase_file(workspace)
    given = any(os.environ.get(f"PULUMI_CONFIG_PASSPHRASE{suffix}") for suffix in ("", "_FILE"))
    if given or tracked.get("secretsprovider") or (path.exists() and path.stat().st_size):
        return
    if tracked.get(_SALT) or _known_salt(workspace, stack, project_folder(workspace) / f"Pulumi.{stack}.yaml"):
        raise UsageError(
            f"The passphrase of stack {stack} is not here: {path} does not exist or is empty.",
            advice="Put it there from your backup (mode 0600), or into PULUMI_CONFIG_PASSPHRASE. Nothing else opens "
            "what was encrypted with it. Nothing was changed.",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, part = tempfile.mkstemp(prefix="passphrase-", dir=path.parent)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(secrets.token_urlsafe(32))
    if path.exists():
        # Empty, as a disk that was full left it.
        path.unlink(missing_ok=True)
    try:
        # Of two that make one at the same moment the first wins: a link is never put in a file's place.
        os.link(part, path)
    except FileExistsError:
        pass
    finally:
        Path(part).unlink()


def _write(path: Path, text: str) -> None:
    if path.exists() and path.read_bytes() == text.encode():
        return
    write_whole(path, text)
