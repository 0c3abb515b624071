"""Say for each secret whether it is set, valid, how old, and for whom; never what it is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from deployer.report import Report
from deployer.secrets.catalogue import ANSWERING, GENERATED, GIVEN, SINCE, Generated, Given
from deployer.secrets.probe import Probe, probe_all
from deployer.secrets.store import PROJECT, stack_path
from deployer.secrets.vault import Vault
from deployer.stack_file import load_stack_file
from deployer.workspace import Workspace

OLD_DAYS = 365


@dataclass(frozen=True)
class SecretState:
    """Say how one secret is.

    Attributes:
        name: what it is called on the command line.
        set: whether there is one; a generated one comes with the first `up`.
        needed: whether the stack asks for it.
        problems: what is wrong with it.
        set_on: the day, where it is known.
        age_days: since then.
        used_by: the services that mount it.
        note: what else there is to say: where a database is and whether it answers, which generations there are.
    """

    name: str
    set: bool
    needed: bool
    problems: tuple[str, ...]
    set_on: str
    age_days: int | None
    used_by: tuple[str, ...]
    note: str

    @property
    def is_well(self) -> bool:
        """Whether nothing has to be done about it."""
        return not self.problems and (self.set or not self.needed)


def check_secrets(workspace: Workspace, stack: str, report: Report, *, reach: bool = False) -> list[SecretState]:
    """Look at every secret of a stack.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        report: where progress goes.
        reach: whether to ask the databases for an answer.

    Raises:
        UsageError: the passphrase does not open them, or is not here.
    """
    settings = load_stack_file(stack_path(workspace, stack))
    config = settings.get("config") or {}
    vault = Vault(workspace, stack, settings, report)
    values, state = vault.open(values=any(config.get(secret.full_key) for secret in GIVEN))
    reached = probe_all({secret: values.get(secret.full_key, "") for secret in ANSWERING}, report) if reach else {}
    since = config.get(SINCE) or {}
    given = [_given(secret, config, values, since, reached.get(secret, Probe(""))) for secret in GIVEN]
    made = {
        str(resource["urn"]).rpartition("::")[2]: str(resource.get("created") or "")
        for resource in state.get("resources") or []
        if str(resource.get("type")).startswith("random:")
    }
    return given + [_generated(secret, config, made) for secret in GENERATED]


def _given(
    secret: Given, config: Mapping[str, Any], values: Mapping[str, str], since: Mapping[str, str], reached: Probe
) -> SecretState:
    text = values.get(secret.full_key, "")
    problems = tuple(secret.problems(text, str(config.get(PROJECT) or ""))) if text else ()
    stored = config.get(secret.full_key)
    if stored and not isinstance(stored, Mapping):
        problems = (*problems, "stands in the file unencrypted; set it again")
    described = secret.describe(text) if text and not problems else ""
    problems += (reached.problem,) if reached.problem else ()
    day = str(since.get(secret.key) or "")
    return SecretState(
        name=secret.name,
        set=bool(text),
        needed=secret.is_needed(config),
        problems=problems,
        set_on=day,
        age_days=_age(day),
        used_by=secret.used_by,
        note="; ".join(part for part in (described, reached.said) if part),
    )


def _generated(secret: Generated, config: Mapping[str, Any], made: Mapping[str, str]) -> SecretState:
    generations = secret.generations(config)
    day = made.get(secret.resource(generations[-1]), "")[:10]
    listed = ", ".join(map(str, generations))
    waiting = [number for number in generations if secret.resource(number) not in made]
    note = f"generation {listed}" + ("; comes with the next up" if waiting else "")
    return SecretState(
        name=secret.name,
        set=not waiting,
        needed=False,
        problems=(),
        set_on=day,
        age_days=_age(day),
        used_by=secret.used_by,
        note=note,
    )


def _age(day: str) -> int | None:
    try:
        return (dt.datetime.now(dt.UTC).date() - dt.date.fromisoformat(day)).days
    except ValueError:
        return None
