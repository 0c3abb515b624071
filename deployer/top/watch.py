"""Look at a deployment again and again, each time at all of its pods at once."""

from __future__ import annotations

import datetime as dt
import json
import queue
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from http.client import HTTPConnection
from typing import Any

from deployer.checks import load_settings
from deployer.contexts import find_cluster
from deployer.issuance import read_issuance
from deployer.kube import Kube, Pod
from deployer.logs import ALIASES
from deployer.stack import is_embedded
from deployer.top.errors import ProbeError
from deployer.top.figures import Figures, read_figures
from deployer.top.forward import forward, get
from deployer.top.judge import judge
from deployer.top.picture import Certificate, Picture, Row, add_up, in_order, read_databases
from deployer.top.scrape import SERVICES, Change, Scrape, parse_scrape
from deployer.top.words import plain
from deployer.workspace import Workspace

# Pods that are asked at once; each is one connection to the API server.
AT_ONCE = 16
# A certificate changes once in two months.
CERTIFICATE_SECONDS = 60.0
_OK = 200
_SHORT = {workload: name for name, workload in ALIASES.items() if name != "channels"}


@dataclass(frozen=True)
class Answer:
    """Hold what a pod said of itself.

    Attributes:
        scrape: its metrics; None when they could not be had.
        checks: of its readiness, by name.
        problem: why something could not be had, or nothing.
    """

    scrape: Scrape | None
    checks: Mapping[str, str]
    problem: str


class Watch:
    """Look at one stack's deployment; rates and latencies come from what changed since the last look.

    Args:
        workspace: the checkout.
        stack: the stack's name.

    Raises:
        UsageError: no such stack.
        DeployError: there is no cluster to look into.
    """

    def __init__(self, workspace: Workspace, stack: str) -> None:
        settings = load_settings(workspace, stack)
        self._stack = stack
        self._kube = Kube(workspace, settings)
        self._cluster = find_cluster(workspace, settings).context
        self._encrypted = not is_embedded(settings)
        self._last: dict[str, Scrape] = {}
        self._certificate: Certificate | None = None
        self._certificate_due = 0.0

    def look(self) -> Picture:
        """Ask every pod once.

        Raises:
            DeployError: the cluster does not answer.
        """
        pods = self._kube.pods()
        answers = self._ask_all(pods)
        changes = {
            name: Change(self._last.get(name), answer.scrape)
            for name, answer in answers.items()
            if answer.scrape is not None
        }
        self._last = {name: change.now for name, change in changes.items()}
        rows = in_order([_row(pod, answers[pod.name], changes.get(pod.name)) for pod in pods])
        return Picture(
            stack=self._stack,
            cluster=self._cluster,
            time=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            seconds=max((change.seconds for change in changes.values()), default=0.0),
            rows=rows,
            missing=tuple(name for name in SERVICES if name not in {row.service for row in rows}),
            totals=add_up(rows, changes),
            databases=read_databases(rows, changes),
            certificate=self._read_certificate(),
        )

    def _ask_all(self, pods: Sequence[Pod]) -> dict[str, Answer]:
        """Ask pods side by side; by threads that keep nobody from leaving while a pod is silent."""
        waiting: queue.SimpleQueue[Pod] = queue.SimpleQueue()
        answers: queue.SimpleQueue[tuple[str, Answer]] = queue.SimpleQueue()
        for pod in pods:
            waiting.put(pod)

        def ask() -> None:
            while True:
                try:
                    pod = waiting.get_nowait()
                except queue.Empty:
                    return
                answers.put((pod.name, self._ask(pod)))

        for _ in range(min(AT_ONCE, len(pods))):
            threading.Thread(target=ask, daemon=True).start()
        return dict(answers.get() for _ in pods)

    def _ask(self, pod: Pod) -> Answer:
        # One without an address has not started, and one that failed or is done has nobody to answer.
        if not pod.internal_port or pod.state != "Running":
            return Answer(None, {}, "")
        scrape, checks = None, {}
        try:
            # One connection each: whoever answers need not keep it for a second question.
            with forward(self._kube, pod) as connection:
                scrape = _scrape(connection)
            with forward(self._kube, pod) as connection:
                checks = parse_readiness(get(connection, "/readyz")[1])
        except ProbeError as error:
            return Answer(scrape, checks, plain(str(error)))
        except Exception as error:  # noqa: BLE001  # a thread that dies would leave everybody waiting
            return Answer(scrape, checks, f"it cannot be asked, by a fault of our own: {type(error).__name__}: {error}")
        return Answer(scrape, checks, "")

    def _read_certificate(self) -> Certificate | None:
        if self._encrypted and time.monotonic() >= self._certificate_due:
            self._certificate_due = time.monotonic() + CERTIFICATE_SECONDS
            found = read_issuance(self._kube)
            self._certificate = judge_certificate(found.ends, "; ".join(found.words), dt.datetime.now(dt.UTC))
        return self._certificate


def _scrape(connection: HTTPConnection) -> Scrape:
    status, text = get(connection, "/metrics")
    if status != _OK:
        raise ProbeError(f"its /metrics answers with status {status}")
    return parse_scrape(text, time.monotonic())


def judge_certificate(ends: str, problem: str, now: dt.datetime) -> Certificate:
    """Count the days that a certificate has.

    Args:
        ends: as cert-manager writes it; nothing while there is none.
        problem: cert-manager's words.
        now: the time.
    """
    try:
        left = dt.datetime.fromisoformat(ends) - now
    except ValueError:
        return Certificate(ends, None, problem)
    return Certificate(ends, left / dt.timedelta(days=1), problem)


def parse_readiness(text: str) -> dict[str, str]:
    """Read what a service's /readyz answered.

    Raises:
        ProbeError: it is something else.
    """
    try:
        checks = json.loads(text)["checks"]
        return {plain(str(name)): plain(str(word)) for name, word in checks.items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ProbeError("its /readyz answers with something else than its checks") from error


def _row(pod: Pod, answer: Answer, change: Change | None) -> Row:
    service = _SHORT.get(pod.workload, pod.workload) if change is None else change.now.service
    figures: Figures = {} if change is None else read_figures(service, change)
    condition, problems = judge(pod, answer.problem, answer.checks, figures)
    if not figures and pod.memory_bytes is not None:
        # Of what is not ours a metrics-server may know something.
        figures = {"cores": pod.cores, "memory_bytes": pod.memory_bytes}
    return Row(
        pod=pod.name,
        namespace=pod.namespace,
        service=service,
        state=pod.state,
        ready=pod.ready,
        restarts=pod.restarts,
        condition=condition,
        problems=problems,
        checks=dict(answer.checks),
        figures=figures,
    )


def as_plain(picture: Picture) -> dict[str, Any]:
    """Turn a picture into what JSON has."""
    return {**asdict(picture), "condition": picture.condition}
