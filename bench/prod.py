"""Measure stack prod on ground of this machine's own: what a change costs, and what its users lose by it.

The ground is that of the tests (tests/prod/ground.py): a cluster in a box, a load balancer, hosted databases with TLS,
cert-manager with an ACME server. All of it is made for the run and taken away at its end; it needs root.

    .venv/bin/python bench/prod.py                    at least 10,000 requests while every service's pods are replaced
    .venv/bin/python bench/prod.py --requests 50000
    .venv/bin/python bench/prod.py --json
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

# A script finds the packages beside its folder only when told where they are.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from deployer.project import load_checkpoint
from tests.prod.ground import Ground, open_ground
from tests.prod.load import Crowd, Tally, under_load

STACK = ("--stack", "prod")
CHANGED_FILE, OLD, NEW = "services/auth/routes.py", '"auth ok"', '"auth is ok"'
SHORTEST_SHOWN = 0.05  # seconds; a quicker step says nothing
# On two processors that the cluster, its nine pods and the clients share.
CROWD = Crowd(clients=24, rate=120.0, rooms=4, talkers=5, pause=0.25)


@dataclass(frozen=True)
class Row:
    """Be one measured wait.

    Attributes:
        name: what was waited for.
        seconds: how long.
        steps: how they divide over the command's own steps.
        load: of the machine, a minute's mean, when it was over: what the figure is worth.
    """

    name: str
    seconds: float
    steps: dict[str, float] = field(default_factory=dict)
    load: float = field(default_factory=lambda: os.getloadavg()[0])


@dataclass(frozen=True)
class Report:
    """Be all that was measured.

    Attributes:
        rows: the waits.
        resources: of the stack, by kind.
        tally: what users sent while pods were replaced, and what became of it.
    """

    rows: list[Row]
    resources: dict[str, int]
    tally: Tally


def measure(ground: Ground, *, requests: int) -> Report:
    """Go through the measures once."""
    ground.init_secrets()
    ground.load_images()
    ground.issuing.await_ready()
    rows = [
        _timed("first `up`, until https answers on the issued certificate", lambda: _up(ground)),
        _timed("`preview`, nothing to change", lambda: _preview(ground)),
        _timed("`up`, nothing to change", lambda: _up(ground)),
    ]
    resources = _resources(ground)
    ground.checkout.change(CHANGED_FILE, OLD, NEW)
    ground.load_images()
    rows.append(_timed("`preview`, one service changed", lambda: _preview(ground)))

    def change() -> Row:
        return _timed("`up`, one service changed, under load", lambda: _up(ground))

    row, tally = asyncio.run(under_load(ground.site, ground.google.id_token, change, requests=requests, crowd=CROWD))
    return Report([*rows, row], resources, tally)


def _up(ground: Ground) -> Any:
    return ground.checkout.json("up", *STACK, "--yes")


def _preview(ground: Ground) -> Any:
    return ground.checkout.json("preview", *STACK)


def _timed(name: str, work: Callable[[], Any]) -> Row:
    started = time.monotonic()
    answer = work()
    seconds = time.monotonic() - started
    return Row(name, seconds, {step["step"]: step["seconds"] for step in answer.get("steps", [])})


def _resources(ground: Ground) -> dict[str, int]:
    resources = load_checkpoint(ground.checkout.workspace, "prod").get("resources") or []
    kinds = Counter(
        str(one["type"]).rpartition(":")[2] for one in resources if str(one["type"]).startswith("kubernetes:")
    )
    return dict(sorted(kinds.items()))


def show(report: Report) -> None:
    """Print the report as tables in Markdown."""
    print("| what | seconds | load | by step |\n| --- | --- | --- | --- |")
    for row in report.rows:
        steps = ", ".join(f"{name} {seconds:.1f}" for name, seconds in row.steps.items() if seconds >= SHORTEST_SHOWN)
        print(f"| {row.name} | {row.seconds:.1f} | {row.load:.1f} | {steps} |")
    tally = report.tally
    print("\n| while every service's pods were replaced | sent | lost |\n| --- | --- | --- |")
    print(f"| requests | {tally.requests} | {len(tally.lost)} |")
    print(f"| messages | {tally.messages} | {len(tally.faults)} |")
    print(
        f"\nSockets were opened again {tally.reconnects} times and told {tally.deliveries} messages. "
        f"The slowest answer took {tally.slowest:.2f} s."
    )
    kinds = ", ".join(f"{count} {kind}" for kind, count in report.resources.items())
    print(f"\n{sum(report.resources.values())} objects in the cluster: {kinds}.")
    for problem in (*tally.lost[:10], *tally.faults[:10]):
        print(f"LOST  {problem}")


def main() -> int:
    """Measure in a folder that is gone afterwards; 1 when anything was lost."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000, help="the least that are sent while pods are replaced")
    parser.add_argument("--json", action="store_true", help="print the report as JSON")
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="stampchat-bench-prod-"))
    try:
        with open_ground(folder) as ground:
            report = measure(ground, requests=options.requests)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if options.json:
        print(json.dumps(asdict(report), indent=2))
    else:
        show(report)
    return 1 if report.tally.lost or report.tally.faults else 0


if __name__ == "__main__":
    sys.exit(main())
