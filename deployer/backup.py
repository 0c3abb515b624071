"""Write what only this checkout knows of a stack into one file, and put it back after a loss.

A backup holds the stack's state, its file, its history and its image references. What is secret in them stays
encrypted; the passphrase that opens it is another file, to be kept in another place.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deployer.archive import read_archive, write_archive
from deployer.checks import check_stack_name
from deployer.engine import ensure_engine
from deployer.errors import DeployError, ProcessError, UsageError
from deployer.files import write_private
from deployer.outputs import require_state
from deployer.project import load_project, passphrase_file, team_passphrase_file, write_project
from deployer.pulumi_process import Pulumi, engine_environment, silence_log
from deployer.report import Report
from deployer.stack import is_embedded, local_values, set_state_aside
from deployer.stack_file import load_stack_file
from deployer.workspace import Workspace

FORMAT = "stampchat-backup-1"
_ABOUT, _STATE, _FILE, _IMAGES, _CLUSTER, _HISTORY = (
    "about.json", "state.json", "stack.yaml", "images.json", "cluster", "history/",
)  # fmt: skip
_PASSPHRASE = "PULUMI_CONFIG_PASSPHRASE"  # noqa: S105  # a variable's name
_FINGERPRINT_ROUNDS = 600_000
# What a backup says of itself.
_TOLD = ("stack", "made", "resources", "opened_by", "fingerprint")


@dataclass(frozen=True)
class Backup:
    """Say what a backup holds.

    Attributes:
        stack: the stack's name.
        made: when, UTC.
        resources: how many the state lists.
        opened_by: the secrets provider that opens what is secret in it: passphrase, or another.
        fingerprint: of the passphrase, by which the right one is known; nothing with another provider.
        path: its file.
        passphrase: the file that the passphrase went to, or nothing.
        restored: where the stack's file of the backup was put, when the checkout has another.
    """

    stack: str
    made: str
    resources: int
    opened_by: str
    fingerprint: str
    path: Path
    passphrase: Path | None = None
    restored: Path | None = field(default=None, compare=False)


def back_up(workspace: Workspace, stack: str, path: Path, report: Report, *, passphrase: Path | None = None) -> Backup:
    """Write a backup, and the passphrase into another file if one is named.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        path: the file to write; only its owner can read it.
        report: where progress goes.
        passphrase: the file that the passphrase goes to.

    Raises:
        UsageError: a file is there already.
        DeployError: the stack was never brought up.
    """
    for file in (path, passphrase):
        if file is not None and file.exists():
            raise UsageError(f"{file} is there already, and no backup is written over.", advice="Name another file.")
    settings = load_stack_file(_stack_file(workspace, stack))
    pulumi = _open_state(workspace, stack, settings, report)
    require_state(pulumi)
    report.note("exporting the state")
    exported = pulumi.read("stack", "export")
    deployment = dict(json.loads(exported).get("deployment") or {})
    provider = str((deployment.get("secrets_providers") or {}).get("type") or "passphrase")
    word = _read_passphrase(workspace) if provider == "passphrase" else ""
    backup = Backup(
        stack=stack,
        made=dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        resources=len(deployment.get("resources") or []),
        opened_by=provider,
        fingerprint=fingerprint(word, stack) if word else "",
        path=path,
        passphrase=passphrase if word else None,
    )
    about = {"format": FORMAT, **{name: getattr(backup, name) for name in _TOLD}}
    write_archive(path, {_ABOUT: json.dumps(about), _STATE: exported, **_others(workspace, pulumi, settings)})
    if backup.passphrase is not None:
        write_private(backup.passphrase, word)
    return backup


def restore(
    workspace: Workspace,
    stack: str,
    path: Path,
    report: Report,
    *,
    passphrase: Path | None = None,
    confirm: Callable[[str], bool] = lambda _: False,
) -> Backup:
    """Put a stack's state back.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        path: the backup.
        report: where progress goes.
        passphrase: the file that holds the passphrase; without it the one that is here has to fit.
        confirm: is asked before a state that is here is set aside.

    Raises:
        UsageError: the file is no backup of this stack, the passphrase is another, or nobody confirmed; nothing was
            changed.
    """
    check_stack_name(workspace, stack)
    files = _read(path, stack)
    about = json.loads(files[_ABOUT])
    backup = Backup(path=path, **{name: about[name] for name in _TOLD})
    deployment = json.loads(files[_STATE])["deployment"]
    _settle_passphrase(workspace, stack, backup, passphrase)
    kept = _keep_stack_file(workspace, stack, files[_FILE])
    settings = load_stack_file(_stack_file(workspace, stack))
    salt = ((deployment.get("secrets_providers") or {}).get("state") or {}).get("salt")
    pulumi = _open_state(workspace, stack, settings, report)
    if pulumi.exists():
        present = len(pulumi.checkpoint().get("resources") or [])
        if present and not confirm(f"Stack {stack} has a state of {present} resources; the backup's takes its place."):
            raise UsageError("Not confirmed; nothing was changed.", advice="Answer yes, or give --yes.")
        if pulumi.is_kept_here:
            set_state_aside(workspace, stack)
    # The engine checks the passphrase against the salt before it makes anything.
    salted = {**settings, **({"encryptionsalt": salt} if salt else {})}
    write_project(workspace, stack, salted, local_values(workspace, settings))
    _import(pulumi, files[_STATE], settings)
    _put_back(workspace, pulumi, files)
    return Backup(path=path, restored=kept, **{name: about[name] for name in _TOLD})


def fingerprint(passphrase: str, stack: str) -> str:
    """Tell one passphrase from another without giving it away: it may be one that a person thought of."""
    digest = hashlib.pbkdf2_hmac("sha256", passphrase.encode(), f"{FORMAT}:{stack}".encode(), _FINGERPRINT_ROUNDS)
    return digest.hex()[:16]


def _stack_file(workspace: Workspace, stack: str) -> Path:
    check_stack_name(workspace, stack)
    return workspace.root / f"Pulumi.{stack}.yaml"


def _open_state(workspace: Workspace, stack: str, settings: Mapping[str, Any], report: Report) -> Pulumi:
    """Find the engine alone: a state is read and written without a plugin."""
    engine = ensure_engine(workspace, report)
    silence_log(workspace)
    write_project(workspace, stack, settings, local_values(workspace, settings))
    paths, embedded = [engine.pulumi.parent], is_embedded(settings)
    environ = engine_environment(workspace, paths, stand_in=True, embedded=embedded)
    return Pulumi(engine.pulumi, workspace, stack, environ)


def _others(workspace: Workspace, pulumi: Pulumi, settings: Mapping[str, Any]) -> dict[str, str]:
    """Gather what goes along with the state."""
    files = {_FILE: _stack_file(workspace, pulumi.stack).read_text(encoding="utf-8")}
    images = workspace.root / str((settings.get("config") or {}).get("stampchat:imagesFile") or workspace.images)
    cluster = _cluster_record(workspace, pulumi.stack)
    files |= {name: file.read_text() for name, file in ((_IMAGES, images), (_CLUSTER, cluster)) if file.is_file()}
    if pulumi.is_kept_here:
        folder = _history_folder(workspace, pulumi.stack)
        for file in sorted(folder.glob("*.json")) if folder.is_dir() else []:
            # A checkpoint an update is what makes a history large; going back needs the images alone.
            if not file.name.endswith(".checkpoint.json"):
                files[f"{_HISTORY}{file.name}"] = file.read_text(encoding="utf-8")
    return files


def _history_folder(workspace: Workspace, stack: str) -> Path:
    return workspace.state / "backend" / ".pulumi" / "history" / str(load_project(workspace)["name"]) / stack


def _cluster_record(workspace: Workspace, stack: str) -> Path:
    return workspace.state / f"cluster-of-{stack}"


def _read_passphrase(workspace: Workspace) -> str:
    """Read the passphrase where the engine would."""
    if _PASSPHRASE in os.environ:
        return os.environ[_PASSPHRASE]
    return team_passphrase_file(workspace).read_text(encoding="utf-8").strip()


def _read(path: Path, stack: str) -> dict[str, str]:
    """Open a backup and see that it is one, of this stack."""
    try:
        files = read_archive(path)
        about = json.loads(files[_ABOUT])
        known = about.get("format") == FORMAT and all(name in about for name in _TOLD)
        known = known and "deployment" in json.loads(files[_STATE]) and _FILE in files
    except (OSError, EOFError, tarfile.TarError, KeyError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else "it is damaged, or something else"
        raise UsageError(f"{path} cannot be read as a backup: {reason}.", advice="Nothing was changed.") from error
    if not known:
        raise UsageError(f"{path} is no backup that this version reads.", advice="Nothing was changed.")
    if about["stack"] != stack:
        raise UsageError(
            f"{path} is a backup of stack {about['stack']}, not of {stack}.",
            advice=f"`./stampchat restore {about['stack']} {path}` restores it. Nothing was changed.",
        )
    return files


def _settle_passphrase(workspace: Workspace, stack: str, backup: Backup, given: Path | None) -> None:
    """See that the passphrase is the backup's, and put it in its place."""
    if not backup.fingerprint:
        return
    own = passphrase_file(workspace)
    elsewhere = _PASSPHRASE in os.environ or bool(os.environ.get(f"{_PASSPHRASE}_FILE"))
    try:
        word = given.read_text(encoding="utf-8").strip() if given is not None else _read_passphrase(workspace)
    except OSError as error:
        raise UsageError(
            f"There is no passphrase at {error.filename}.",
            advice="Name the file that the backup's passphrase went to: --passphrase FILE. Nothing was changed.",
        ) from error
    if fingerprint(word, stack) != backup.fingerprint:
        raise UsageError(
            f"The passphrase in {given or 'use here'} is not the one that the backup was made with.",
            advice="Name the file that it went to: --passphrase FILE. Nothing was changed.",
        )
    if given is None or elsewhere:
        return
    if own.exists() and own.read_text(encoding="utf-8").strip() not in ("", word):
        raise UsageError(
            f"{own} holds another passphrase, which other stacks of this checkout may need.",
            advice="Move it away if none does, or restore into a fresh clone. Nothing was changed.",
        )
    own.parent.mkdir(parents=True, exist_ok=True)
    own.unlink(missing_ok=True)
    write_private(own, word)


def _keep_stack_file(workspace: Workspace, stack: str, text: str) -> Path | None:
    """Lay the backup's stack file aside where the checkout's differs: git keeps that one, and it may be newer."""
    if _stack_file(workspace, stack).read_text(encoding="utf-8") == text:
        return None
    path = workspace.state / "restored" / f"Pulumi.{stack}.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def _import(pulumi: Pulumi, exported: str, settings: Mapping[str, Any]) -> None:
    provider = settings.get("secretsprovider")
    try:
        if not pulumi.exists():
            kept = ["--secrets-provider", str(provider)] if provider else []
            pulumi.read("stack", "init", pulumi.stack, *kept, stack_option=False)
        pulumi.import_state(exported)
    except ProcessError as error:
        raise DeployError(
            f"The engine does not take the state of stack {pulumi.stack}.",
            said=error.said,
            advice=f"What was here before is in {pulumi.workspace.state / 'lost'}.",
        ) from error


def _put_back(workspace: Workspace, pulumi: Pulumi, files: Mapping[str, str]) -> None:
    """Put back what goes along, where nothing is in its place."""
    places = {_CLUSTER: _cluster_record(workspace, pulumi.stack), _IMAGES: workspace.images}
    if pulumi.is_kept_here:
        folder = _history_folder(workspace, pulumi.stack)
        places |= {name: folder / Path(name).name for name in files if name.startswith(_HISTORY)}
    for name, place in places.items():
        if name in files and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(files[name], encoding="utf-8")
