"""Watch the Kubernetes plugin from inside: when it started, when a call was in it, what it used.

The engine starts a shim; `watch_plugin` puts one in its place that runs this file, which notes each call's begin and
end in a file by the clock that all processes of the machine share, and is the plugin otherwise.
"""

from __future__ import annotations

import json
import os
import runpy
import shlex
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_SHOWN = 10
_NOTES = "STAMPCHAT_BENCH_TRACE"
_ROOT = Path(__file__).resolve().parent.parent.parent
_SHIM = """#!/bin/sh
{notes}={file} exec {python} -I -c {code} "$@"
"""


@dataclass(frozen=True)
class Work:
    """Be what the plugin did during one command; times are seconds.

    Attributes:
        seconds: of the command.
        starting: from the start of its processes until each said its port.
        calls: that the engine made.
        busy: during which at least one call was in it.
        cpu: of processor that it used.
        peak: KiB that the largest of its processes ever held.
        slowest: some calls and their seconds, the slowest first.
    """

    seconds: float
    starting: float
    calls: int
    busy: float
    cpu: float
    peak: int
    slowest: list[tuple[str, float]]


def watch_plugin(shim: Path, notes: Path) -> None:
    """Put a shim that notes in the place of the plugin's own.

    Args:
        shim: what the engine starts.
        notes: the file to note in.
    """
    code = (
        f"import sys; sys.path.insert(0, {str(_ROOT)!r}); sys.argv[0] = {str(shim)!r}; "
        "from bench.ground import trace; trace.be_plugin()"
    )
    fresh = shim.with_name("fresh")
    fresh.write_text(
        _SHIM.format(
            notes=_NOTES, file=shlex.quote(str(notes)), python=shlex.quote(sys.executable), code=shlex.quote(code)
        )
    )
    fresh.chmod(0o755)
    fresh.replace(shim)


def read_work(notes: Path, seconds: float) -> Work:
    """Read what was noted during a command of so many seconds, and forget it."""
    lines = [json.loads(line) for line in notes.read_text().splitlines()] if notes.exists() else []
    notes.unlink(missing_ok=True)
    starts = [line for line in lines if not line["call"]]
    calls = [line for line in lines if line["call"]]
    used: dict[int, float] = {}
    for line in lines:
        used[line["pid"]] = max(used.get(line["pid"], 0.0), line["cpu"])
    slowest = sorted(((line["call"], line["ended"] - line["begun"]) for line in calls), key=lambda each: -each[1])
    return Work(
        seconds,
        starting=sum(line["ended"] - line["begun"] for line in starts),
        calls=len(calls),
        busy=_covered([(line["begun"], line["ended"]) for line in calls]),
        cpu=sum(used.values()),
        peak=max((line["peak"] for line in lines), default=0),
        slowest=slowest[:_SHOWN],
    )


def _covered(spans: list[tuple[float, float]]) -> float:
    """Add spans up, counting what several cover once."""
    total, until = 0.0, 0.0
    for begun, ended in sorted(spans):
        total += max(0.0, ended - max(begun, until))
        until = max(until, ended)
    return total


def be_plugin() -> None:
    """Be the plugin, and note what is asked of it."""
    from deployer.plugins import bare

    bare.lighten()
    from deployer.plugins import rpc

    guard, start = rpc._guard, rpc.start  # noqa: SLF001  # the one place through which every call goes

    def noting_guard(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        guarded, name = guard(method), str(getattr(method, "__name__", "call"))

        def call(request: Any, context: Any) -> Any:
            begun = time.monotonic()
            try:
                return guarded(request, context)
            finally:
                _note(name, begun)

        return call

    def noting_start(servicer: Any, add: Callable[[Any, Any], None]) -> tuple[Any, int]:
        started = start(servicer, add)
        _note("", _process_start())
        return started

    rpc._guard, rpc.start = noting_guard, noting_start  # noqa: SLF001
    runpy.run_module("deployer.plugins.kubernetes", run_name="__main__")


def _note(call: str, begun: float) -> None:
    line = {
        "pid": os.getpid(),
        "call": call,
        "begun": begun,
        "ended": time.monotonic(),
        "cpu": time.process_time(),
        "peak": status_kib("self", "VmHWM"),
    }
    # One write of a short line to a file opened so is whole, whoever else writes.
    file = os.open(os.environ[_NOTES], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, f"{json.dumps(line)}\n".encode())
    finally:
        os.close(file)


def status_kib(process: int | str, key: str) -> int:
    """Return what /proc says of a process's memory; 0 of one that is gone.

    Args:
        process: its number.
        key: VmRSS for now, VmHWM for the most it ever held.
    """
    with suppress(OSError):
        for line in Path(f"/proc/{process}/status").read_text().splitlines():
            if line.startswith(f"{key}:"):
                return int(line.split()[1])
    return 0


def _process_start() -> float:
    fields = Path("/proc/self/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[19]) / os.sysconf("SC_CLK_TCK")
