"""Ask the engine what an update would change."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from deployer.errors import DeployError
from deployer.events import Change, Listener, Outcome, Reader, Resource
from deployer.plugins.language.waiting import WaitingHost
from deployer.project import IS_NOT_OURS, write_policy_pack
from deployer.pulumi_process import Pulumi
from deployer.steps import Display

# The language host says it once more, when the program has said why.
_PROGRAM_ENDED = "an unhandled error occurred: the program exited"
# The engine takes a plugin that was killed for one with a bug, and sends people to its author.
_PLUGIN_ENDED = re.compile(
    r"Detected that (\S+) exited prematurely\.\s+This is .*?streams of the plugin:\s*", re.DOTALL
)
_LOCKS = re.compile(r"created by .*")
# Two that began at the same moment: what the engine advises would break the other one's update.
_IS_LOCKED = (
    "Another update of the stack has begun meanwhile, so this one changed nothing. Wait for it to end and start again; "
    "`./stampchat unlock` shows whose lock it is, and takes away one that was left behind."
)


class ShowOn(Listener):
    """Show what the engine does on a display.

    Args:
        display: where to show it.
        verb: what the engine is busy with until it names a resource.
    """

    def __init__(self, display: Display, verb: str) -> None:
        self._display = display
        self._display.note(verb)

    def doing(self, change: Change, running: int) -> None:
        """Show the newest change."""
        others = f" and {running - 1} more" if running > 1 else ""
        self._display.note(f"{change.doing}{others}")

    def done(self, change: Change, still: list[Change]) -> None:
        """Keep a line for what is done, and go back to what is not."""
        self._display.line(change.done)
        if still:
            others = f" and {len(still) - 1} more" if len(still) > 1 else ""
            self._display.note(f"{still[0].doing}{others}")

    def said(self, resource: Resource | None, text: str, *, lasting: bool) -> None:
        """Show what a plugin waits for."""
        del lasting
        first = text.splitlines()[0]
        self._display.note(f"{resource}: {first}" if resource is not None else first)


def plan(pulumi: Pulumi, display: Display, *, refresh: bool = False, host: WaitingHost | None = None) -> Outcome:
    """Preview the stack.

    Args:
        pulumi: the engine on a stack.
        display: where progress goes.
        refresh: whether to look at what really is there first, instead of trusting the state.
        host: a language host that waits already; without one the engine starts its own.

    Raises:
        DeployError: the program, its config, a policy or the server's dry run refuses.
    """
    reader = Reader(ShowOn(display, "reading the program"))
    options = ["--policy-pack", str(write_policy_pack(pulumi.workspace))]
    if refresh:
        options.append("--refresh")
    if host is not None:
        options += host.options()
    status, said = pulumi.stream("preview", *options, on_event=reader.read)
    if status != 0:
        raise failure("The preview failed", reader.outcome, said, "Nothing was changed.")
    return reader.outcome


def show_plan(outcome: Outcome, display: Display) -> None:
    """List the planned changes, a line each."""
    for change in ordered(outcome.changes):
        display.line(change.planned)
    for warning in outcome.warnings:
        display.line(f"warning: {warning}")


def ordered(changes: Sequence[Change]) -> list[Change]:
    """Put what is taken away first, then what is made anew, then the rest in the engine's order."""
    ranks = {"delete": 0, "create-replacement": 1, "delete-replaced": 1}
    return sorted(changes, key=lambda change: ranks.get(change.op, len(ranks)))


def failure(what: str, outcome: Outcome, said: str, advice: str) -> DeployError:
    """Turn what an engine run said into one error that names the resource and its own reason."""
    reasons = [
        f"{resource}: {text}" if resource is not None else _plainly(text) for resource, text in _telling(outcome)
    ]
    reasons += [f"policy {text}" for text in outcome.policies]
    named = next((resource for resource, _ in _telling(outcome) if resource is not None), None)
    at = f" at {named}" if named is not None and named.kind not in {"Stack", "resource"} else ""
    words = said + "".join(reasons)
    if "incorrect passphrase" in words:
        advice = IS_NOT_OURS
    elif "currently locked by" in words:
        reasons = [f"its lock: {each}" for each in _LOCKS.findall(words)] or reasons
        advice = _IS_LOCKED
    silent = "The engine was killed, or ended without a word."
    return DeployError(f"{what}{at}.", said="\n".join(reasons) or said or silent, advice=advice)


def _plainly(text: str) -> str:
    """Say of a plugin that ended what is known: that it did, and what it printed."""
    return _PLUGIN_ENDED.sub(lambda found: f"{Path(found[1]).name} ended, or was killed. ", text).strip()


def _telling(outcome: Outcome) -> list[tuple[Resource | None, str]]:
    """Leave out what only says that something failed, once something says why."""
    telling = [
        (resource, text)
        for resource, text in outcome.errors
        if text not in {"update failed", "preview failed", "destroy failed"} and not text.startswith(_PROGRAM_ENDED)
    ]
    return telling or outcome.errors
