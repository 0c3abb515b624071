"""Bring a stack up: from nothing, from a half-finished run, or from an older version."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deployer import cluster, images
from deployer.checks import check_ground, load_deployable
from deployer.contexts import find_cluster
from deployer.engine import ensure_engine
from deployer.errors import UsageError
from deployer.events import Outcome
from deployer.ground import check_where, choose_where, described, pulls_images, require_images, where_it_is
from deployer.history import update_message
from deployer.issuance import explained
from deployer.kube import Kube
from deployer.mend import mend
from deployer.outside import check_outside, client_trust
from deployer.plugins import ensure_plugins
from deployer.plugins.language.waiting import WaitingHost
from deployer.prerequisites import ClusterApi, find_prerequisites, require, require_operator
from deployer.preview import plan, show_plan
from deployer.project import write_project
from deployer.pulumi_process import Pulumi
from deployer.ready import wait_ready
from deployer.report import Report
from deployer.secrets.probe import ask_databases
from deployer.stack import forget_lost_cluster, is_embedded, local_values, public_url, stack_environment
from deployer.steps import Background, Display, Step, Timing, run_steps
from deployer.update import read_images, update, write_images
from deployer.workspace import Workspace


@dataclass(frozen=True)
class UpOptions:
    """What the user asked for.

    Attributes:
        stack: the stack's name.
        port: the port of this machine that the gateway answers at, or the one that it has, or a free one.
        lan: whether other machines reach that port, from now on; None leaves it as it is.
        cluster: where the cluster of stack dev is to be: "embedded", "kind", "k3d" or a context's name; "" for what the
            stack's file says, or where it is.
        refresh: look at what really is there instead of trusting the state.
        take_over: take fields back that somebody else has changed, rather than stop at them.
        preview_only: stop before the first change.
        images: references of an earlier update to go back to, by name; None builds, or takes, the present ones.
        purpose: a sentence about why, for the question before the change.
        confirm: is asked before a cluster that is not ours is changed, and before older images are deployed.
    """

    stack: str = "dev"
    port: int | None = None
    lan: bool | None = None
    cluster: str = ""
    refresh: bool = False
    take_over: bool = False
    preview_only: bool = False
    images: Mapping[str, str] | None = None
    purpose: str = ""
    confirm: Callable[[str], bool] = lambda _: False


@dataclass(frozen=True)
class UpResult:
    """What came of it.

    Attributes:
        url: where the deployment answers, if the stack says so.
        outcome: what was planned.
        timings: how long each step took.
        lan_port: the port at which other machines are let in, or None where none is.
    """

    url: str
    outcome: Outcome
    timings: list[Timing]
    lan_port: int | None = None


def up(workspace: Workspace, options: UpOptions, display: Display) -> UpResult:
    """Run every step from a bare machine to a deployment that answers.

    Raises:
        DeployError: the first step that failed, in its own words.
    """
    run = _Run(workspace, options)
    with run.ending:
        timings = run_steps(run.steps(), display)
    return UpResult(run.url, run.outcome, timings, run.lan_port)


class _Run:
    """Hold what the steps learn from each other."""

    def __init__(self, workspace: Workspace, options: UpOptions) -> None:
        self.workspace = workspace
        self.options = options
        # Before any step: a misspelt stack or a broken file is told at once.
        self.settings, self.config = load_deployable(workspace, options.stack, images=options.images is None)
        self.embedded = is_embedded(self.settings)
        if options.lan is not None and not self.embedded:
            raise UsageError(
                f"--lan is about this machine's own cluster, and stack {options.stack} runs elsewhere.",
                advice="Leave it away, or bring up stack dev.",
            )
        self.lan_port: int | None = None
        if options.cluster and not self.embedded:
            raise UsageError(
                f"The cluster of stack {options.stack} is the one that its file names.",
                advice="--cluster is for stack dev; mend stampchat:context in the stack's file.",
            )
        self.where = choose_where(workspace, self.settings, options.cluster) if self.embedded else None
        self.outcome = Outcome()
        self.url = public_url(self.settings)
        self._images = Background(self._build_images)
        self._engine: Path
        self._pulumi: Pulumi
        self._environ: dict[str, str]
        self._host: WaitingHost | None = None
        self.ending = ExitStack()
        self._archives: dict[str, Path]

    def steps(self) -> list[Step]:
        """List what there is to do, in order."""
        here = [
            Step("check", "this machine, the disk, the port, the stack's config", self.check_machine),
            Step("engine", "find or build the Pulumi engine", self.find_engine),
            Step("plugins", "find the engine's plugins", self.find_plugins),
            Step("cluster", "start the Kubernetes cluster", self.start_cluster),
        ]
        fresh = [
            Step("images", "build the container images", self.join_images),
            Step("load", "load the images into the cluster", self.load_images),
        ]
        there = [
            Step("check", "the stack's config and the cluster it names", self.find_cluster),
            Step("engine", "find or build the Pulumi engine", self.find_engine),
            Step("plugins", "find the engine's plugins", self.find_plugins),
            Step("ground", "ask cluster and databases for what the stack stands on", self.check_ground),
        ]
        builds = self.options.images is None and not self._pulls
        if os.environ.get("STAMPCHAT_BUNDLE"):
            here.insert(0, Step("bundle", "take what is missing out of the bundle", self.use_bundle))
        # Those of an earlier update are in the cluster already.
        steps = [*here, *(fresh if builds else [])] if self.embedded else there
        steps.append(Step("preview", "plan the change", self.preview))
        if not self.options.preview_only:
            if not self.embedded or self._is_foreign or self.options.images is not None:
                steps.append(Step("confirm", "ask before anything changes", self.ask))
            steps.append(Step("update", "apply the plan", self.update))
            if self.url or self.embedded:
                steps.append(Step("ready", "ask every service through the gateway", self.wait_ready))
                steps.append(Step("outside", "see that what serves is what was deployed", self.check_outside))
            if self.embedded:
                steps.append(
                    Step("extras", "see to what the cluster does without until it is built", self.begin_extras)
                )
        return steps

    @property
    def _ground(self) -> cluster.Ground:
        return where_it_is(self.workspace, self.where).ground

    @property
    def _is_foreign(self) -> bool:
        """Whether the cluster was there before us, and may hold what is not ours."""
        return self.embedded and self._ground == "context"

    @property
    def _pulls(self) -> bool:
        """Whether the cluster pulls images that were pushed, rather than be given those that are built here."""
        return self._ground != "embedded" and pulls_images(self.settings)

    def use_bundle(self, display: Display) -> str:
        from deployer.bundle import use_what_is_named

        return use_what_is_named(self.workspace, display)

    def check_machine(self, display: Display) -> str:
        display.note("looking at the machine")
        found = check_ground(self.workspace, self.where)
        require_images(check_where(self.workspace, self.where, lan=self.options.lan), self.settings)
        instance = cluster.load_instance(self.workspace, port=self.options.port, where=self.where)
        self._instance = cluster.choose(self.workspace, instance, cluster.Choice(lan=self.options.lan))
        self.lan_port = self._instance.port if self._instance.lan else None
        # Its downloads run while Go keeps the processors busy.
        if self.options.images is None and not self._pulls:
            self._images.start()
        return f"{found}; {described(self._instance)}"

    def find_cluster(self, _display: Display) -> str:
        self._cluster = find_cluster(self.workspace, self.settings)
        return str(self._cluster)

    def check_ground(self, display: Display) -> str:
        display.note("asking the cluster what it serves")
        api = ClusterApi(Kube(self.workspace, self.settings).connection, self._cluster)
        findings = find_prerequisites(self.config, api, official_plugin=self._plugins == "official")
        for note in findings.notes:
            display.line(f"warning: {note}")
        databases = {
            secret.name: probe
            for secret, probe in ask_databases(self.workspace, self.options.stack, self.settings, display).items()
        }
        for name, probe in databases.items():
            display.line(f"{name}: {probe.said or probe.problem}")
        return require(findings, self._cluster, {name: probe.problem for name, probe in databases.items()})

    def ask(self, _display: Display) -> str:
        if self.outcome.is_unchanged:
            return "nothing to change"
        cluster_name = find_cluster(self.workspace, self.settings)
        purpose = f"{self.options.purpose} " if self.options.purpose else ""
        question = f"{purpose}Stack {self.options.stack} on the cluster {cluster_name}: {self.outcome.planned}."
        if not self.options.confirm(question):
            raise UsageError("Not confirmed; nothing was changed.", advice="Answer yes, or give --yes.")
        return "confirmed"

    def find_engine(self, display: Display) -> str:
        engine = ensure_engine(self.workspace, display)
        self._engine = engine.pulumi
        return f"Pulumi {engine.version} ({engine.source})"

    def find_plugins(self, display: Display) -> str:
        plugins = ensure_plugins(self.workspace, display)
        self._plugins = plugins.source
        self._environ = stack_environment(self.workspace, self._engine, plugins, self.settings)
        if self.options.take_over:
            # The plugin's own setting, of every one of its providers.
            self._environ["PULUMI_K8S_ENABLE_PATCH_FORCE"] = "true"
        if plugins.host is not None:
            self._host = self.ending.enter_context(WaitingHost(plugins.host, self._environ))
        return plugins.source

    def start_cluster(self, display: Display) -> str:
        info = cluster.up(self.workspace, self._instance, display)
        self.url = info.url or self.url
        if forget_lost_cluster(self.workspace, self.options.stack, info.identity):
            display.line("the cluster is a new one: what the stack knew of the old one was set aside")
        if self.config.observability.kind == "prometheus-operator":
            named = find_cluster(self.workspace, self.settings)
            require_operator(ClusterApi(Kube(self.workspace, self.settings).connection, named), named)
        return f"{info.name} at {info.address}"

    def join_images(self, display: Display) -> str:
        built = self._images.join(display)
        self._archives = {image.reference: image.archive for image in built.values()}
        sizes = ", ".join(f"{name} {image.size / 1e6:.0f} MB" for name, image in built.items())
        return f"{len(built)} images ({sizes})"

    def load_images(self, display: Display) -> str:
        cluster.load_images(self.workspace, self._archives, display)
        return "present"

    def preview(self, display: Display) -> str:
        local = local_values(self.workspace, self.settings)
        if self.options.images is not None:
            local["stampchat:imagesFile"] = str(write_images(self.workspace, self.options.stack, self.options.images))
        self._images_file = self.workspace.root / str(
            local.get("stampchat:imagesFile") or self.settings["config"].get("stampchat:imagesFile", "")
        )
        write_project(self.workspace, self.options.stack, self.settings, local)
        self._pulumi = Pulumi(self._engine, self.workspace, self.options.stack, self._environ)
        for sentence in mend(self._pulumi, self.settings, display):
            display.line(sentence)
        self.outcome = plan(self._pulumi, display, refresh=self.options.refresh, host=self._host)
        self.ending.close()
        if not self.options.preview_only:
            show_plan(self.outcome, display)
        return "nothing to change" if self.outcome.is_unchanged else self.outcome.planned

    def update(self, display: Display) -> str:
        if self.outcome.is_unchanged:
            return "nothing to change"
        message = update_message(read_images(self._images_file))
        with explained(self.workspace, self.settings):
            return update(self._pulumi, display, message=message, refresh=self.options.refresh).done

    def wait_ready(self, display: Display) -> str:
        wait_ready(self.url, display, trust=client_trust(self.settings))
        return self.url

    def check_outside(self, display: Display) -> str:
        kube = Kube(self.workspace, self.settings)
        trust, page = client_trust(self.settings), self.config.web is not None
        count = check_outside(self.url, read_images(self._images_file), kube, display, trust=trust, page=page)
        if trust is not None:
            display.line("the certificate is of Let's Encrypt's staging, which no client takes: see acme.server")
        return f"{count} checks hold"

    def begin_extras(self, display: Display) -> str:
        missing = cluster.begin_extras(self.workspace)
        for name, reason in missing.items():
            for line in f"{name}: {reason}".splitlines():
                display.line(line)
        return f"{len(missing)} missing" if missing else "all there"

    def _build_images(self, report: Report) -> dict[str, images.BuiltImage]:
        return images.build_images(self.workspace, report)
