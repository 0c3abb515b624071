"""Put a user's secrets and the plain values around them into the stack's file, all of them or none."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer.checks import check_stack_name
from deployer.errors import UsageError
from deployer.project import passphrase_place
from deployer.report import Report
from deployer.secrets.alone import alone
from deployer.secrets.catalogue import FIREBASE, GIVEN, NAMESPACE, SINCE, Given
from deployer.secrets.probe import probe_all
from deployer.secrets.vault import PASSPHRASE, PROVIDERS, SETTINGS, Vault
from deployer.stack import is_embedded
from deployer.stack_file import change_stack_file, load_stack_file
from deployer.workspace import Workspace

HOSTNAME = f"{NAMESPACE}:hostname"
EMAIL = f"{NAMESPACE}:acme.email"
CONTEXT = f"{NAMESPACE}:context"
PROJECT = f"{NAMESPACE}:firebaseProjectId"


@dataclass(frozen=True)
class Plain:
    """Be a value that is no secret, and that nobody but the user knows.

    Attributes:
        key: its full key, or the path into a mapping.
        name: what it is called on the command line.
        what: what to ask for.
    """

    key: str
    name: str
    what: str


PLAIN = (
    Plain(CONTEXT, "context", "the cluster's context in your kubeconfig"),
    Plain(HOSTNAME, "hostname", "the DNS name that clients use"),
    Plain(EMAIL, "email", "the e-mail address that Let's Encrypt may write to"),
)


@dataclass(frozen=True)
class Stored:
    """Say what was written.

    Attributes:
        path: the stack's file.
        names: of the secrets and values, in the order of their giving.
        restarts: services whose pods the next `up` rolls.
        passphrase: where the passphrase is that now opens them; nothing with another provider.
        answers: what each database among them said to a try, by the secret's name.
    """

    path: Path
    names: tuple[str, ...]
    restarts: tuple[str, ...]
    passphrase: str
    answers: Mapping[str, str]


def stack_path(workspace: Workspace, stack: str) -> Path:
    """Return the file of a stack that keeps secrets.

    Raises:
        UsageError: there is no such stack, or all of its secrets are generated.
    """
    check_stack_name(workspace, stack)
    path = workspace.root / f"Pulumi.{stack}.yaml"
    if is_embedded(load_stack_file(path)):
        raise UsageError(
            f"Stack {stack} runs on this machine's own cluster, and all of its secrets are generated.",
            advice="`./stampchat secrets check --stack prod` and the like are for a stack with hosted databases.",
        )
    return path


def missing(settings: Mapping[str, Any]) -> tuple[list[Given], list[Plain]]:
    """List what a stack still needs from its user.

    Args:
        settings: the content of the stack's file.
    """
    config = settings.get("config") or {}
    needed = [secret for secret in GIVEN if secret.is_needed(config)]
    return (
        [secret for secret in needed if not config.get(secret.full_key)],
        [value for value in PLAIN if not _plain(config, value.key)],
    )


def store(
    workspace: Workspace,
    stack: str,
    secrets: Mapping[Given, str],
    plain: Mapping[str, str],
    report: Report,
    *,
    provider: str = "",
) -> Stored:
    """Check every value, encrypt the secret ones, and write the stack's file once.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        secrets: values as the user has them.
        plain: values by full key, or by the path into a mapping.
        report: where progress goes.
        provider: the secrets provider; only for a stack that has no secret yet.

    Raises:
        UsageError: values are wrong, all of them in one message that quotes none; or the passphrase is.
    """
    path = stack_path(workspace, stack)
    values = {secret: text.strip() for secret, text in secrets.items()}
    # Wrong values are told before another command is waited for, and before anything is made.
    _written(path, load_stack_file(path), values, plain, provider)
    with alone(workspace, report):
        settings = load_stack_file(path)
        written = _written(path, settings, values, plain, provider)
        sealed = Vault(workspace, stack, settings, report).seal(
            {secret.full_key: text for secret, text in values.items()}, provider=provider
        )
        written.update(sealed.config)
        today = dt.datetime.now(dt.UTC).date().isoformat()
        written.update({f"{SINCE}.{secret.key}": today for secret in values})
        change_stack_file(path, written, sealed.settings)
    return Stored(
        path=path,
        names=tuple([secret.name for secret in values] + [key.partition(":")[2] for key in plain]),
        restarts=tuple(dict.fromkeys(service for secret in values for service in secret.used_by)),
        passphrase=passphrase_place(workspace) if "encryptionsalt" in sealed.settings else "",
        answers={secret.name: probe.problem or probe.said for secret, probe in probe_all(values, report).items()},
    )


def _written(
    path: Path, settings: Mapping[str, Any], values: Mapping[Given, str], plain: Mapping[str, str], provider: str
) -> dict[str, object]:
    """Return the plain values to write, once every value has been judged."""
    written: dict[str, object] = dict(plain)
    if FIREBASE in values:
        written.update(_project_of(values[FIREBASE], settings.get("config") or {}))
    _judge(path, settings, values, written, provider)
    return written


def _project_of(account: str, config: Mapping[str, Any]) -> dict[str, object]:
    """Name the project that users log in with, where the stack does not: it is the one of the pushes."""
    from infra.config import service_account_project

    project = service_account_project(account)
    return {PROJECT: project} if project and not config.get(PROJECT) else {}


def _judge(
    path: Path, settings: Mapping[str, Any], values: Mapping[Given, str], written: Mapping[str, object], provider: str
) -> None:
    config = settings.get("config") or {}
    project = str(written.get(PROJECT) or config.get(PROJECT) or "")
    problems = [
        f"{secret.name} {problem}" for secret, text in values.items() for problem in secret.problems(text, project)
    ]
    problems += _plain_problems(written)
    if provider and not provider.startswith(PROVIDERS):
        problems.append(f"the provider {provider!r} is none of {', '.join(PROVIDERS)}")
    if provider not in ("", _provider(settings)) and any(name in settings for name in SETTINGS):
        problems.append(
            f"the stack's secrets are kept by {_provider(settings)} already; "
            "`pulumi stack change-secrets-provider` moves them (`./stampchat env` prints what it needs)"
        )
    if problems:
        count = "A value" if len(problems) == 1 else f"{len(problems)} values"
        raise UsageError(
            f"{count} for {path.name} cannot be used.", said="\n".join(problems), advice="Nothing was changed."
        )


def _provider(settings: Mapping[str, Any]) -> str:
    return str(settings.get("secretsprovider") or PASSPHRASE)


def _plain_problems(written: Mapping[str, object]) -> list[str]:
    """Ask the program itself what it thinks of the plain values."""
    from infra.config import ConfigError, validate_stack

    config: dict[str, Any] = {f"{NAMESPACE}:place": "prod"}
    for key, value in written.items():
        outer, _, inner = key.partition(".")
        if inner:
            config.setdefault(outer, {})[inner] = value
        else:
            config[outer] = value
    try:
        validate_stack(config)
    except ConfigError as error:
        paths = [re.escape(key) for key in written]
        pattern = re.compile(rf"({'|'.join(paths)})\b" if paths else r"(?!)")
        return [problem.removesuffix(".") for problem in error.problems if pattern.match(problem)]
    return []


def _plain(config: Mapping[str, Any], key: str) -> object:
    outer, _, inner = key.partition(".")
    value = config.get(outer)
    return (value or {}).get(inner) if inner and isinstance(value, dict | None) else value
