"""Measure how the chat service's costs grow, on this machine, and print a table for each question.

It starts what it needs (Postgres, the services, NATS), for each question anew, and takes everything away:

    .venv/bin/python -m bench.chat.growth                       everything: a quarter of an hour, 4 GiB of disk
    .venv/bin/python -m bench.chat.growth --only storm          one question; --list names them
    .venv/bin/python -m bench.chat.growth --short               a hundredth of it: no measurement
    .venv/bin/python -m bench.chat.growth --json figures.json   every figure with all that was counted

The exit code is 1 when any delivery was lost, came twice or went astray where nothing was to be refused.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from bench.chat import dead, growing, history, rolls
from bench.chat.environment import generator_python
from bench.chat.ground import Ground, Row
from bench.chat.machine import describe

QUESTIONS: dict[str, tuple[str, Callable[[Ground], list[Row]]]] = {
    "rooms": ("rooms of 10, 100, 1,000 and 10,000 sockets: a message and a delivery", growing.measure_rooms),
    "replicas": ("one to four replicas on each bus: what the bus costs a message", growing.measure_replicas),
    "elsewhere": ("what a replica pays for sockets and messages that are none of its own", growing.measure_elsewhere),
    "rolls": ("what a replica pays to hear who is with another one", rolls.measure_rolls),
    "storm": ("10,000 sockets, and the chat service restarted: all come back at once", growing.measure_storm),
    "history": ("pages and commits beside ten million messages", history.measure_history),
    "flood": ("one sender who floods, and the latency of the room beside it", growing.measure_flood),
    "dead": ("10,000 sockets in one room, of which 1,000 have stopped to read", dead.measure_dead),
    "idle": ("sockets that only send heartbeats", growing.measure_idle),
}


def main(arguments: Sequence[str]) -> int:
    """Measure and print; return the exit code."""
    options = _parse(arguments)
    if options.list:
        for name, (what, _) in QUESTIONS.items():
            print(f"{name:10} {what}")
        return 0
    ground = Ground(generator_python(), share=100 if options.short else 1)
    found: dict[str, list[Row]] = {}
    for name, (what, measure) in QUESTIONS.items():
        if options.only and name not in options.only:
            continue
        print(name, file=sys.stderr, flush=True)
        found[name] = measure(ground)
        # Each as soon as it is there: the rest takes minutes.
        print(f"\n{name}: {what}\n\n{render(found[name])}", flush=True)
    print(f"\n{datetime.now(UTC):%Y-%m-%d %H:%M} UTC; {describe(())}.")
    if options.json:
        figures = {name: [row.as_json() for row in rows] for name, rows in found.items()}
        Path(options.json).write_text(json.dumps(figures, indent=1))
    return 0 if all(row.is_clean for rows in found.values() for row in rows) else 1


def render(rows: Sequence[Row]) -> str:
    """Return a Markdown table; every figure that a row has is a column."""
    columns = list(dict.fromkeys(column for row in rows for column in row.figures))
    lines = [("what", *columns, "clean"), ("---",) * (len(columns) + 2)]
    for row in rows:
        figures = (_shown(row.figures.get(column, "")) for column in columns)
        lines.append((row.what, *figures, "yes" if row.is_clean else "NO"))
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(figure: float | str) -> str:
    if isinstance(figure, str):
        return figure
    return f"{figure:,.0f}" if abs(figure) >= 100 or figure == int(figure) else f"{figure:,.2f}"  # noqa: PLR2004


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(QUESTIONS))
    parser.add_argument("--list", action="store_true", help="name the questions")
    parser.add_argument("--short", action="store_true", help="a hundredth of the sockets, messages and rows")
    parser.add_argument("--json", metavar="PATH", help="write every figure there too")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
