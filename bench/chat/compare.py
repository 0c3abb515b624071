"""Measure the chat service beside centrifuge, on this machine, in one run, and print a table with their ratios.

It starts a Postgres that writes every commit to the disk, migrates, starts the services as processes, builds and
starts the peer, drives both with the same generator in turns, and takes everything away at the end:

    python bench/chat/run.py                     everything, three times each: about ten minutes
    python bench/chat/run.py --only stored       one measure; --list names them
    python bench/chat/run.py --repeat 1 --short  a look, not a measurement

The exit code is 1 when any delivery was lost, came twice or went astray.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.chat.environment import MissingError, generator_python, peer_binary
from bench.chat.limit import describe_limits, measure_limits
from bench.chat.load import Outcome, run_load
from bench.chat.measures import MEASURES, Measure
from bench.chat.peers import Centrifuge
from bench.chat.plan import Load
from bench.chat.report import Result, render
from bench.chat.stack import Stack, running_stack

# Between two runs, so that one's closing sockets are not the other's load.
PAUSE_SECONDS = 1.0
MAX_REPLICAS = 8


@dataclass(frozen=True)
class Bench:
    """Hold what runs are made with.

    Attributes:
        stack: our side.
        peer: the other, if it can be had.
        python: of the generator.
        short: whether loads are cut down.
    """

    stack: Stack
    peer: Centrifuge | None
    python: Path
    short: bool

    def run(self, measure: Measure, *, peer: bool) -> Outcome:
        """Run one side of a measure once."""
        side: Stack | Centrifuge = self.stack
        if peer:
            assert self.peer is not None  # noqa: S101  # asked for only where it is there
            side = self.peer
            rooms = side.make_rooms(measure.rooms, measure.size)
        else:
            rooms = asyncio.run(self.stack.make_rooms(measure.rooms, measure.size))
        if measure.fresh:
            side.restart()
        load = Load(
            wire="centrifuge" if peer else "phoenix",
            urls=side.urls,
            rooms=rooms,
            messages=measure.peer_messages if peer else measure.messages,
            event=measure.event,
            rate=measure.rate,
            window=measure.window,
            workers=measure.workers,
        )
        outcome = run_load(load, python=self.python, servers=side.servers, hold=measure.hold)
        time.sleep(PAUSE_SECONDS)
        return outcome


def main(arguments: list[str]) -> int:
    """Measure and print; return the exit code."""
    options = _parse(arguments)
    if options.list:
        for measure in MEASURES:
            print(f"{measure.name:12} {measure.what}")
        return 0
    chosen = [measure for measure in MEASURES if not options.only or measure.name in options.only]
    python, binary, notes = generator_python(), None, [f"The chat service: {options.replicas} x, bus {options.bus}."]
    try:
        binary = None if options.alone else peer_binary()
    except MissingError as error:
        notes.append(f"Without a peer: {error}.")
    with tempfile.TemporaryDirectory(prefix="stampchat-bench-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        peer = None if binary is None else Centrifuge(binary)
        try:
            if peer is not None:
                peer.start()
            with running_stack(folder, options.profile, options.bus, options.replicas) as stack:
                bench = Bench(stack, peer, python, options.short)
                results = [_measure(bench, measure, options.repeat) for measure in chosen]
        finally:
            if peer is not None:
                peer.stop()
    if not options.only:
        notes.append(describe_limits(measure_limits()))
    _print(results, notes, options.json)
    return 0 if all(result.is_clean for result in results) else 1


def _measure(bench: Bench, measure: Measure, repeat: int) -> Result:
    if bench.short:
        measure = measure.shortened()
    ours: list[Outcome] = []
    theirs: list[Outcome] = []
    for number in range(repeat):
        print(f"{measure.name} {number + 1}/{repeat}", file=sys.stderr, flush=True)
        ours.append(bench.run(measure, peer=False))
        _complain(measure, ours[-1])
        if bench.peer is not None and measure.compared:
            theirs.append(bench.run(measure, peer=True))
            _complain(measure, theirs[-1])
    return Result(measure, tuple(ours), tuple(theirs))


def _complain(measure: Measure, outcome: Outcome) -> None:
    if not outcome.is_clean:
        print(f"{measure.name} was not clean: {json.dumps(outcome.as_json())}", file=sys.stderr, flush=True)


def _print(results: list[Result], notes: list[str], path: str | None) -> None:
    print("\n\n".join([render(results), *notes]))
    if path:
        rows: list[dict[str, Any]] = [result.as_json() for result in results]
        Path(path).write_text(json.dumps(rows, indent=1))


def _parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=[measure.name for measure in MEASURES])
    parser.add_argument("--list", action="store_true", help="name the measures")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each side; medians are shown")
    parser.add_argument("--short", action="store_true", help="a fifth of the messages, a tenth of the sockets")
    parser.add_argument("--alone", action="store_true", help="without the peer")
    parser.add_argument(
        "--profile", metavar="PATH", help="run the chat service under cProfile and keep its figures there"
    )
    parser.add_argument("--bus", choices=("local", "postgres", "nats"), default="local", help="between replicas")
    parser.add_argument("--replicas", type=int, default=1, help="of the chat service; people are spread over them")
    parser.add_argument("--json", metavar="PATH", help="write every run there too")
    options = parser.parse_args(arguments)
    if not 1 <= options.replicas <= MAX_REPLICAS:
        parser.error(f"--replicas is {options.replicas}, not 1 to {MAX_REPLICAS}")
    if options.replicas > 1 and options.bus == "local":
        parser.error("several replicas need a bus: --bus postgres or --bus nats")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
