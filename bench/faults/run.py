"""Run everything under faults, one after the other, and see that nobody would notice for long.

It works in a copy of the checkout with a disk and a cache of its own, which all go at its end; it needs root on Linux.
After each fault: was what the user saw one paragraph, is a process left over, does the next `up` go through, and is
what people stored still there?

    .venv/bin/python bench/faults/run.py                    all of it, about an hour
    .venv/bin/python bench/faults/run.py --only etcd        those whose name fits a regular expression
    .venv/bin/python bench/faults/run.py --list
"""

from __future__ import annotations

import argparse
import re
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

# A script finds the packages beside its folder only when told where they are.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent.parent))

from bench.faults.cases import Case, all_cases
from bench.faults.ground import Ground, Said, open_ground

_SHOWN = 160


@dataclass(frozen=True)
class Found:
    """Hold what came of one fault.

    Attributes:
        case: the fault.
        said: what the user saw.
        strays: the processes that were left over.
        lost: what was not there any more.
        after: what the next `up` came to.
        seconds: that it took.
    """

    case: Case
    said: Said
    strays: list[str]
    lost: list[str]
    after: Said
    seconds: float

    @property
    def problems(self) -> list[str]:
        """List what is not as it should be; empty is good."""
        failed = ["failed"] if self.said.status > 0 and not self.case.may_fail else []
        after = [f"the next up: {self.after.text[-600:]}"] if self.after.status else []
        return [*failed, *self.said.faults, *(stray[:200] for stray in self.strays), *self.lost, *after]

    def row(self) -> str:
        """Write it as a row of the table."""
        seen = self.said.paragraph.replace("\n", " ").replace("|", "/").removeprefix("stampchat: ")
        silent = "nothing: it was killed" if self.said.status < 0 else "nothing: it went through"
        seen = f"{seen[:_SHOWN]}…" if len(seen) > _SHOWN else seen or silent
        cells = [self.case.name, seen, str(len(self.strays)), ", ".join(self.lost) or "nothing"]
        return f"| {' | '.join(cells)} | {'FAILED' if self.after.status else f'{self.seconds:.0f} s'} |"


def try_case(ground: Ground, case: Case) -> Found:
    """Let one fault happen and look what came of it."""
    said = case.happen(ground)
    strays = ground.strays()
    started = time.monotonic()
    after = ground.up()
    seconds = time.monotonic() - started
    if after.status == 0 and case.fresh:
        ground.seed()
    lost = ground.lost() if after.status == 0 else ["not known"]
    return Found(case, said, strays, lost, after, seconds)


def measure(cases: Sequence[Case]) -> list[Found]:
    """Try every fault on one ground, and print the table as it grows."""
    folder = Path(tempfile.mkdtemp(prefix="stampchat-faults-"))
    found = []
    print(
        "| fault | what the user saw | processes left | lost | next `up` |\n| --- | --- | --- | --- | --- |", flush=True
    )
    try:
        with open_ground(folder) as ground:
            for case in cases:
                sys.stderr.write(f"{time.strftime('%H:%M:%S')} {case.name}\n")
                found.append(try_case(ground, case))
                print(found[-1].row(), flush=True)
                sys.stderr.write("".join(f"    {line}\n" for line in found[-1].said.paragraph.splitlines()))
                for problem in found[-1].problems:
                    sys.stderr.write(f"    PROBLEM {problem}\n")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return found


def main() -> int:
    """Try what is asked for, and return 1 when anything was not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="only faults whose name fits this regular expression")
    parser.add_argument("--list", action="store_true", help="name the faults and try none")
    options = parser.parse_args()
    cases = [case for case in all_cases() if re.search(options.only, case.name)]
    if options.list:
        print("\n".join(case.name for case in cases))
        return 0
    # A shell's background job ignores Ctrl-C; and whatever ends this, the ground is to be taken away.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    found = measure(cases)
    bad = [each for each in found if each.problems]
    print(f"\n{len(found)} faults, {len(bad)} not as they should be.")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
