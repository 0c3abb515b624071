"""Take a stack away: the resources that the engine made, in the reverse order."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from deployer import cluster
from deployer.checks import load_settings
from deployer.contexts import NamedCluster, find_cluster
from deployer.errors import UsageError
from deployer.events import Outcome, Reader, Resource, parse_urn
from deployer.kube import Kube
from deployer.mend import mend
from deployer.outputs import require_state
from deployer.prerequisites import ClusterApi
from deployer.preview import ShowOn, failure
from deployer.project import load_checkpoint, state_file
from deployer.pulumi_process import Pulumi
from deployer.stack import forget_lost_cluster, is_embedded, open_stack
from deployer.steps import Display, Step, run_steps
from deployer.workspace import Workspace


@dataclass(frozen=True)
class Consent:
    """Ask a person before something that cannot be taken back.

    Attributes:
        confirm: is asked a question, and says whether to go on.
        unprotect: whether what is protected may go too.
        type_name: has the stack's name typed, after a question, where something is protected.
    """

    confirm: Callable[[str], bool]
    unprotect: bool = False
    type_name: Callable[[str], str] = lambda _: ""


def destroy(workspace: Workspace, stack: str, display: Display, consent: Consent) -> Outcome:
    """Delete every resource of a stack, its volumes and what they hold included; hosted databases are not among them.

    Args:
        workspace: the checkout.
        stack: the stack's name.
        display: where progress goes.
        consent: is asked first.

    Raises:
        UsageError: no such stack, not confirmed, or something in it is protected.
        DeployError: a resource could not be deleted.
    """
    run = _Run(workspace, stack, consent)
    if run.embedded:
        if not state_file(workspace, stack).exists():
            return run.outcome
        # Before the cluster is started for it.
        run.ask(load_checkpoint(workspace, stack))
    run_steps(run.steps(), display)
    return run.outcome


class _Run:
    """Hold what the steps learn from each other."""

    def __init__(self, workspace: Workspace, stack: str, consent: Consent) -> None:
        self.workspace = workspace
        self.stack = stack
        self.settings = load_settings(workspace, stack)
        self.embedded = is_embedded(self.settings)
        self.outcome = Outcome()
        self._consent = consent
        self._pulumi: Pulumi
        self._cluster: NamedCluster

    def steps(self) -> list[Step]:
        """List what there is to do, in order."""
        first = (
            [Step("cluster", "start the Kubernetes cluster", self.start_cluster)]
            if self.embedded
            else [Step("check", "the cluster that the stack names", self.reach_cluster)]
        )
        return [
            *first,
            Step("engine", "find the engine", self.open),
            *([] if self.embedded else [Step("confirm", "ask before anything is deleted", self.ask_again)]),
            Step("destroy", "delete the resources", self.delete),
        ]

    def start_cluster(self, display: Display) -> str:
        instance = cluster.load_instance(self.workspace, port=None)
        info = cluster.up(self.workspace, instance, display)
        if forget_lost_cluster(self.workspace, self.stack, info.identity):
            display.line("the cluster is a new one: what the stack knew of the old one was set aside")
        return f"{info.name} at {info.address}"

    def reach_cluster(self, display: Display) -> str:
        self._cluster = find_cluster(self.workspace, self.settings)
        display.note("asking the cluster for an answer")
        ClusterApi(Kube(self.workspace, self.settings).connection, self._cluster).get("/version")
        return str(self._cluster)

    def open(self, display: Display) -> str:
        self._pulumi = open_stack(self.workspace, self.stack, self.settings, display)
        require_state(self._pulumi)
        return "; ".join(mend(self._pulumi, self.settings, display)) or "the engine is ready"

    def ask_again(self, _display: Display) -> str:
        return self.ask(self._pulumi.checkpoint())

    def ask(self, checkpoint: Mapping[str, Any]) -> str:
        """Ask for all that has to be asked for; what is protected first, since a yes to the rest would do nothing.

        Raises:
            UsageError: the answer is no.
        """
        protected = protected_resources(checkpoint)
        count = sum(1 for entry in _resources(checkpoint) if entry.get("custom"))
        if protected and not self._consent.unprotect:
            raise UsageError(
                f"Stack {self.stack} has {len(protected)} protected resources, so nothing was deleted.",
                said="\n".join(map(str, protected)),
                advice="Without the keys everybody is logged out, and all that runs goes with the namespace. "
                f"`./stampchat destroy {self.stack} --unprotect` asks for the stack's name, and deletes them too.",
            )
        if self.embedded:
            where, data = "this machine's own cluster", "the messages in its databases included"
        else:
            where, data = f"the cluster {self._cluster}", "while the hosted databases stay as they are"
        question = f"Stack {self.stack} on {where}: {count} resources are about to be deleted, {data}."
        if protected:
            question += f" Protected are {', '.join(map(str, protected))}."
            if self._consent.type_name(question) != self.stack:
                raise UsageError(
                    "That is not the stack's name; nothing was deleted.",
                    advice=f"Type {self.stack}, or give --name {self.stack} where nobody can type.",
                )
        elif not self._consent.confirm(question):
            raise UsageError("Not confirmed; nothing was changed.", advice="Answer yes, or give --yes.")
        return "confirmed"

    def delete(self, display: Display) -> str:
        if protected_resources(self._pulumi.checkpoint()):
            # Should the deletion fail half-way, the next `up` protects again what is left.
            self._pulumi.read("state", "unprotect", "--all", "--yes")
        self.outcome = _delete(self._pulumi, display)
        return self.outcome.done


def protected_resources(checkpoint: Mapping[str, Any]) -> list[Resource]:
    """List what the engine refuses to delete."""
    return [parse_urn(str(entry["urn"])) for entry in _resources(checkpoint) if entry.get("protect")]


def _resources(checkpoint: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        entry
        for entry in checkpoint.get("resources") or []
        if not str(entry.get("type")).startswith(("pulumi:pulumi:", "pulumi:providers:"))
    ]


def _delete(pulumi: Pulumi, display: Display) -> Outcome:
    reader = Reader(ShowOn(display, "starting the engine"))
    status, said = pulumi.stream("destroy", "--yes", "--skip-preview", on_event=reader.read)
    if status != 0:
        advice = "What is gone is gone, the rest is kept. Run `./stampchat destroy` again once the cause is mended."
        raise failure("The deletion failed", reader.outcome, said, advice)
    return reader.outcome
