"""Encrypt a stack's secrets with the engine's own secrets provider, and read them back for a check.

The engine works on a copy of the stack's file in a folder that only its owner can enter, since it would write the
file anew as it likes. Values go to it through a pipe, never on a command line.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deployer.engine import ensure_engine
from deployer.errors import ProcessError, UsageError
from deployer.project import ensure_passphrase, load_project, passphrase_place
from deployer.pulumi_process import engine_environment, lists_stack, silence_log
from deployer.report import Report
from deployer.workspace import Workspace

# What each provider that is not a passphrase reads, to be named when it fails.
_NEEDS = {
    "hashivault": "Vault's address in VAULT_ADDR, a token in VAULT_TOKEN that may encrypt and decrypt with the key, "
    "and the key itself (`vault secrets enable transit`, `vault write -f transit/keys/NAME`)",
    "awskms": "AWS credentials that may use the key, as `aws sts get-caller-identity` finds them, and its region",
    "gcpkms": "Google credentials that may use the key, as `gcloud auth application-default login` leaves them",
    "azurekeyvault": "Azure credentials that may use the key, as `az login` leaves them",
}
# What the engine keeps in a stack's file beside `config`.
SETTINGS = ("encryptionsalt", "secretsprovider", "encryptedkey")
PASSPHRASE = "passphrase"  # noqa: S105  # the provider's name
PROVIDERS = (PASSPHRASE, "awskms://", "gcpkms://", "azurekeyvault://", "hashivault://")


@dataclass(frozen=True)
class Sealed:
    """Hold values as a stack's file may have them.

    Attributes:
        config: encrypted values by full key.
        settings: what the engine needs to open them: a salt, or a provider and its key.
    """

    config: Mapping[str, Mapping[str, str]]
    settings: Mapping[str, str]


class Vault:
    """Seal and open the secrets of one stack.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        settings: the content of the stack's file.
        report: where progress goes.
    """

    def __init__(self, workspace: Workspace, stack: str, settings: Mapping[str, Any], report: Report) -> None:
        self._workspace = workspace
        self._stack = stack
        self._settings = settings
        self._report = report

    def seal(self, values: Mapping[str, str], *, provider: str = "") -> Sealed:
        """Encrypt values.

        Args:
            values: plain values by full key.
            provider: the secrets provider of a stack that has none yet; passphrase unless told.

        Raises:
            UsageError: the passphrase is wrong, or the provider refuses.
        """
        with self._project(provider) as folder:
            for key, value in values.items():
                self._report.note(f"encrypting {key.partition(':')[2]}")
                self._run(folder, "config", "set", "--secret", key, stdin=value)
            written = yaml.safe_load((folder / f"Pulumi.{self._stack}.yaml").read_text(encoding="utf-8"))
        config = {key: written["config"][key] for key in values}
        return Sealed(config, {name: written[name] for name in SETTINGS if name in written})

    def open(self, *, values: bool = True) -> tuple[dict[str, str], dict[str, Any]]:
        """Return every value of the stack's config, by full key, in the clear; and its newest state.

        Args:
            values: whether there are any to be decrypted; what is secret in the state stays encrypted anyway.

        Raises:
            UsageError: the passphrase is wrong, or the provider refuses.
        """
        with self._project("") as folder:
            shown = json.loads(self._run(folder, "config", "--show-secrets", "--json") or "{}") if values else {}
            exported = json.loads(self._run(folder, "stack", "export") or "{}")
        opened = {key: entry.get("value", "") for key, entry in shown.items()}
        return opened, dict(exported.get("deployment") or {})

    @contextmanager
    def _project(self, provider: str) -> Iterator[Path]:
        wanted = provider or str(self._settings.get("secretsprovider") or PASSPHRASE)
        if wanted == PASSPHRASE:
            ensure_passphrase(self._workspace, self._stack, self._settings)
        self._workspace.state.mkdir(parents=True, exist_ok=True)
        (self._workspace.state / "backend").mkdir(exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix="secrets-", dir=self._workspace.state))
        try:
            project = {"name": load_project(self._workspace)["name"], "runtime": "python"}
            (folder / "Pulumi.yaml").write_text(yaml.safe_dump(project), encoding="utf-8")
            path = folder / f"Pulumi.{self._stack}.yaml"
            path.write_text(yaml.safe_dump(dict(self._settings), sort_keys=False), encoding="utf-8")
            if not lists_stack(self._run(folder, "stack", "ls", "--json", stack_option=False), self._stack):
                kept = [] if wanted == PASSPHRASE else ["--secrets-provider", wanted]
                self._run(folder, "stack", "init", self._stack, *kept, stack_option=False)
            elif provider not in ("", PASSPHRASE) and "secretsprovider" not in self._settings:
                # An earlier try began with a passphrase.
                self._run(folder, "stack", "change-secrets-provider", provider)
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _run(self, folder: Path, *args: str, stdin: str = "", stack_option: bool = True) -> str:
        engine = ensure_engine(self._workspace, self._report)
        silence_log(self._workspace)
        options = ["--stack", self._stack] if stack_option else []
        paths = [engine.pulumi.parent]
        command = [str(engine.pulumi), *args, *options, "--non-interactive", "--color", "never"]
        done = subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **engine_environment(self._workspace, paths, stand_in=True, embedded=False)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode == 0:
            return done.stdout
        # What the engine prints when it fails holds no value: it names keys and the provider.
        if "passphrase" in done.stderr:
            raise UsageError(
                f"The passphrase does not open the secrets of stack {self._stack}.",
                said=done.stderr,
                advice=(
                    f"They were encrypted with another one than {passphrase_place(self._workspace)} holds. "
                    "Put the right one there, or into PULUMI_CONFIG_PASSPHRASE. Nothing was changed."
                ),
            )
        asked = f"{self._settings.get('secretsprovider')} {' '.join(args)}"
        scheme = next((name for name in _NEEDS if f"{name}://" in asked), "")
        needs = f"It needs {_NEEDS[scheme]}. " if scheme else ""
        raise ProcessError(command, status=done.returncode, output=done.stderr, advice=f"{needs}Nothing was changed.")
