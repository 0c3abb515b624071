"""Measure the engine with our Kubernetes plugin beside kubectl, which does the same with the same objects.

Three deployments on a cluster made for the run: stack dev by our own commands, a small program whose pods become ready,
and a program of 331 objects that nothing has to be waited for. The two sides take turns, each from nothing to nothing.
The plugin is watched from inside: its start, its calls, its memory. It needs root; all is taken away in the end.

    .venv/bin/python bench/ground/run.py                    about twenty minutes
    .venv/bin/python bench/ground/run.py --only small --turns 1
    .venv/bin/python bench/ground/run.py --json
"""

from __future__ import annotations

import argparse
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

# A script finds the packages beside its folder only when told where they are.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from bench.chat.machine import describe
from bench.ground.figures import Comparison, Cost, Report, Row, StartUp, show, timed
from bench.ground.kubectl import Kubectl, objects_of
from bench.ground.programs import Parts, open_program, small, wide
from bench.ground.stack import Dev
from bench.ground.trace import Work, status_kib
from deployer.versions import load_versions
from tests.checkouts import in_a_copy
from tests.ports import free_port

DEPLOYMENTS = ("dev", "small", "wide")
_STARTS = 10


class Ours(Protocol):
    """What a deployment of ours can do; each act returns how long its steps took that have a row of their own."""

    def up(self) -> Parts: ...  # noqa: D102
    def up_again(self) -> Parts: ...  # noqa: D102
    def preview(self) -> Parts: ...  # noqa: D102
    def refresh(self) -> Parts: ...  # noqa: D102
    def destroy(self) -> Parts: ...  # noqa: D102
    def engine_preview(self) -> Callable[[], object] | None: ...  # noqa: D102
    def work(self, seconds: float) -> Work | None: ...  # noqa: D102
    def export(self) -> dict[str, Any]: ...  # noqa: D102


@dataclass(frozen=True)
class Act:
    """Be one thing that a person does.

    Attributes:
        what: its name.
        ours: does it with the engine.
        peer: what one says to kubectl for it.
        theirs: says it.
    """

    what: str
    ours: Callable[[Ours], Parts]
    peer: str
    theirs: Callable[[Kubectl], None]


PREVIEW = Act("preview, nothing to change", lambda ours: ours.preview(), "diff --server-side", Kubectl.diff)
# Each begins where the one before it ended.
ACTS = (
    Act("up, from nothing", lambda ours: ours.up(), "apply --server-side, rollout status", Kubectl.up),
    PREVIEW,
    Act("up, nothing to change", lambda ours: ours.up_again(), "apply --server-side", Kubectl.apply),
    Act("refresh", lambda ours: ours.refresh(), "get", Kubectl.get),
    Act("destroy", lambda ours: ours.destroy(), "delete", Kubectl.delete),
)


def take_turn(comparison: Comparison, ours: Ours, kubectl: Kubectl) -> None:
    """Have the engine go from nothing to nothing, and then kubectl with the same objects."""
    rows: dict[str, list[Row]] = {}
    for act in ACTS:
        rows[act.what] = _act(comparison, act, ours)
        if act is ACTS[0]:
            objects = objects_of(ours.export())
            comparison.objects = len(objects)
            kubectl.take(objects)
        work = ours.engine_preview() if act is PREVIEW else None
        if work is not None:
            row = comparison.row("preview by the engine alone", act.peer)
            _note(row, ours, timed(work))
            rows[act.what].append(row)
    for act in ACTS:
        cost = timed(lambda act=act: act.theirs(kubectl))  # type: ignore[misc]  # bound while it is called
        _tell(f"{comparison.name}: kubectl {act.peer} {cost.seconds:.2f} s")
        for row in rows[act.what]:
            row.theirs.append(cost)


def _act(comparison: Comparison, act: Act, ours: Ours) -> list[Row]:
    parts: Parts = {}
    row = comparison.row(act.what, act.peer)
    _note(row, ours, timed(lambda: parts.update(act.ours(ours))))
    _tell(f"{comparison.name}: {act.what} {row.ours[-1].seconds:.2f} s {parts or ''}")
    rows = [row]
    for name, seconds in parts.items():
        rows.append(comparison.row(f"{act.what}: {name}", act.peer))
        rows[-1].ours.append(Cost(seconds))
    return rows


def _note(row: Row, ours: Ours, cost: Cost) -> None:
    row.ours.append(cost)
    work = ours.work(cost.seconds)
    if work is not None:
        row.works.append(work)


def start_up(shim: Path) -> StartUp:
    """Start the plugin as the engine does, with nobody to serve, until it says its port."""
    seconds, resident = [], []
    for _ in range(_STARTS):
        began = time.monotonic()
        with subprocess.Popen([str(shim)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None  # noqa: S101  # asked for above
            if not process.stdout.readline().strip().isdigit():
                raise SystemExit(f"{shim} did not say its port.")
            seconds.append(time.monotonic() - began)
            resident.append(status_kib(process.pid, "VmRSS"))
            process.terminate()
    return StartUp(seconds, resident)


def measure(folder: Path, wanted: Sequence[str], *, turns: int) -> Report:
    """Compare what is asked for on one cluster of its own."""
    with in_a_copy(folder / "clone") as copy:
        copy.run("cluster", "up", "--port", str(free_port()))
        dev = Dev(copy, folder / "notes")
        kubectl = Kubectl(folder / "kubectl", dev.kubeconfig)
        image = kubectl.run("get", "pods", "-n", "kube-system", "-o", "jsonpath={.items[0].spec.containers[0].image}")
        found = []
        for name in wanted:
            comparison = Comparison(name)
            with _opened(name, folder, dev, image) as ours:
                for _ in range(turns):
                    take_turn(comparison, ours, kubectl)
            found.append(comparison)
        with open_program(folder / "idle", dev.kubeconfig, []) as idle:
            plugin = start_up(idle.plugin)
        scale = [timed(lambda: kubectl.run("version", "--client")).seconds for _ in range(_STARTS)]
    versions = load_versions()
    machine = describe([f"Pulumi {versions['engine']['version']}", f"Kubernetes {versions['cluster']['kubernetes']}"])
    return Report(f"{time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime())}; {machine}", plugin, scale, found)


@contextmanager
def _opened(name: str, folder: Path, dev: Dev, image: str) -> Iterator[Ours]:
    if name == "dev":
        yield dev
        return
    with open_program(folder / name, dev.kubeconfig, small(image) if name == "small" else wide(image)) as program:
        yield program


def _tell(text: str) -> None:
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


def main() -> int:
    """Measure in a folder that is gone afterwards."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"some of {','.join(DEPLOYMENTS)}, with commas between")
    parser.add_argument("--turns", type=int, default=3, help="how often each side goes through everything")
    parser.add_argument("--json", action="store_true", help="print every run as JSON")
    options = parser.parse_args()
    wanted = options.only.split(",") if options.only else list(DEPLOYMENTS)
    if unknown := set(wanted) - set(DEPLOYMENTS):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    # A shell's background job ignores Ctrl-C; and whatever ends this, the cluster is to be taken away.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="stampchat-bench-ground-"))
    try:
        report = measure(folder, wanted, turns=options.turns)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        show(report)
    return 0


if __name__ == "__main__":
    sys.exit(main())
