"""Run a load in worker processes and add up what they counted."""

from __future__ import annotations

import json
import select
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.chat.machine import busy_seconds, cpu_seconds, resident_kib
from bench.chat.plan import Load

ROOT = Path(__file__).resolve().parents[2]
CONNECT_SECONDS = 300
# Between "all are in" and the first message the machine comes to rest.
REST_SECONDS = 0.5
# From telling the workers when to begin until then.
LEAD_NANOSECONDS = 200_000_000
# Steps of a worker's waits, in milliseconds.
STEP_MS = 0.01


class LoadError(Exception):
    """A worker ended or did not answer."""


@dataclass(frozen=True)
class Outcome:
    """Say what a run of the generator saw.

    Attributes:
        clients: that were in.
        refused: that were not let in.
        joins_per_second: connected and joined.
        join_microseconds: CPU of each server for one of these.
        kib_per_socket: growth of the server's memory for each client that is in, before anything is said.
        sent: messages.
        expected: deliveries.
        delivered: those that came, once each.
        twice: came again.
        astray: came to a room where they do not belong.
        failed: error replies.
        dropped: sockets that the server closed.
        deliveries_per_second: from the first message sent to the last delivery.
        messages_per_second: the same, in messages.
        p50: milliseconds from sending to delivery, half of the deliveries.
        p99: the same, 99 of 100.
        cores: CPU used while messages went around, by name; "other" is what none of them used.
        microseconds: CPU of each server for one message, whoever else shares the machine.
        idle_cores: CPU that each server used while nothing was said, heartbeats apart.
        back: after an interruption: seconds that it took, seconds until all were in again, tries that failed, and
            the CPU of each server for one who came back.
        why: the first few failures.
    """

    clients: int
    refused: int
    joins_per_second: float
    kib_per_socket: float
    join_microseconds: dict[str, float] = field(default_factory=dict)
    sent: int = 0
    expected: int = 0
    delivered: int = 0
    twice: int = 0
    astray: int = 0
    failed: int = 0
    dropped: int = 0
    deliveries_per_second: float = 0.0
    messages_per_second: float = 0.0
    p50: float = 0.0
    p99: float = 0.0
    cores: dict[str, float] = field(default_factory=dict)
    microseconds: dict[str, float] = field(default_factory=dict)
    idle_cores: dict[str, float] = field(default_factory=dict)
    back: dict[str, Any] = field(default_factory=dict)
    why: tuple[str, ...] = ()

    @property
    def is_clean(self) -> bool:
        """Whether nobody missed anything, or saw what they should not."""
        bad = (self.refused, self.twice, self.astray, self.failed, self.dropped, self.expected - self.delivered)
        return not any(bad)

    def as_json(self) -> dict[str, Any]:
        """Return it as JSON would have it."""
        return {**asdict(self), "clean": self.is_clean}


@dataclass(frozen=True)
class Interruption:
    """Take the servers away while everybody is in, and bring them back.

    Attributes:
        stop: takes them away.
        start: brings them back; returns where they are and which processes they are.
    """

    stop: Callable[[], None]
    start: Callable[[], tuple[Sequence[str], Mapping[str, int]]]


def run_load(
    load: Load,
    *,
    python: Path,
    servers: Mapping[str, int],
    hold: float = 0.0,
    interruption: Interruption | None = None,
) -> Outcome:
    """Run a load.

    Args:
        load: what to do.
        python: of the generator's environment.
        servers: the servers' processes by name, the one that holds the sockets first.
        hold: seconds that idle clients are held before the server's memory is read.
        interruption: what happens then, before anything is said.

    Raises:
        LoadError: the generator itself failed.
    """
    holder = next(iter(servers.values()))
    before, connecting = resident_kib(holder), _Usage(servers)
    with _workers(load, python) as workers:
        joined = [_read(worker, CONNECT_SECONDS) for worker in workers]
        join_cost = connecting.per_each(sum(part["joined"] for part in joined))
        seconds = (max(part["ended"] for part in joined) - min(part["started"] for part in joined)) / 1e9
        clients = sum(part["joined"] for part in joined)
        idle = _Usage(servers)
        time.sleep(max(hold, REST_SECONDS))
        common: dict[str, Any] = {
            "clients": clients,
            "refused": sum(part["failed"] for part in joined),
            "joins_per_second": round(clients / seconds, 1),
            "join_microseconds": join_cost,
            "kib_per_socket": round((resident_kib(holder) - before) / max(1, clients), 2),
            "idle_cores": idle.per_second(),
        }
        why = [reason for part in joined for reason in part["why"]]
        if interruption is not None:
            common["back"], servers = _interrupt(workers, interruption)
            common["refused"] += common["back"]["refused"]
            why += common["back"].pop("why")
        speaks = load.messages > 0 and not common["refused"]
        usage = _Usage(servers)
        for worker in workers:
            _write(worker, str(time.monotonic_ns() + LEAD_NANOSECONDS) if speaks else "")
        counted = [_read(worker, load.most_seconds + 30) for worker in workers]
        totals = _add_up(counted)
        if speaks:
            totals |= usage.per_second_and_message(sum(part["cpu"] for part in counted), totals["sent"])
        why += [reason for part in counted for reason in part["why"]]
        return Outcome(**common, **totals, why=tuple(why[:3]))


def _interrupt(
    workers: Sequence[subprocess.Popen[str]], interruption: Interruption
) -> tuple[dict[str, Any], Mapping[str, int]]:
    for worker in workers:
        _write(worker, "away")
        _read(worker, CONNECT_SECONDS)
    stopping = time.monotonic()
    interruption.stop()
    starting = time.monotonic()
    urls, servers = interruption.start()
    usage, serving = _Usage(servers), time.monotonic()
    for worker in workers:
        _write(worker, json.dumps(list(urls)))
    joined = [_read(worker, CONNECT_SECONDS) for worker in workers]
    clients = sum(part["joined"] for part in joined)
    back = {
        "stop_seconds": round(starting - stopping, 2),
        "start_seconds": round(serving - starting, 2),
        "seconds": round(time.monotonic() - serving, 2),
        "clients": clients,
        "refused": sum(part["failed"] for part in joined),
        "again": sum(part["again"] for part in joined),
        "join_microseconds": usage.per_each(clients),
        "why": [reason for part in joined for reason in part["why"]],
    }
    return back, servers


class _Usage:
    """Measure CPU from its making on."""

    def __init__(self, servers: Mapping[str, int]) -> None:
        self._servers = servers
        self._cpu = {name: cpu_seconds(pid) for name, pid in servers.items()}
        self._busy = busy_seconds()
        self._started = time.monotonic()

    def per_each(self, count: int) -> dict[str, float]:
        """Return the microseconds of each server for one of so many."""
        used = {name: cpu_seconds(pid) - self._cpu[name] for name, pid in self._servers.items()}
        return {name: round(seconds / max(1, count) * 1e6, 1) for name, seconds in used.items()}

    def per_second(self) -> dict[str, float]:
        """Return how many cores each server used."""
        elapsed = time.monotonic() - self._started
        return {name: round((cpu_seconds(pid) - self._cpu[name]) / elapsed, 3) for name, pid in self._servers.items()}

    def per_second_and_message(self, generator: float, messages: int) -> dict[str, dict[str, float]]:
        """Return who used how many cores, and how much of them a message; what the generator used is told."""
        busy, elapsed = busy_seconds() - self._busy, time.monotonic() - self._started
        used = {name: cpu_seconds(pid) - self._cpu[name] for name, pid in self._servers.items()}
        microseconds = self.per_each(messages)
        used["generator"] = generator
        used["other"] = busy - sum(used.values())
        cores = {name: round(seconds / elapsed, 2) for name, seconds in used.items()}
        return {"cores": cores, "microseconds": microseconds}


@contextmanager
def _workers(load: Load, python: Path) -> Iterator[list[subprocess.Popen[str]]]:
    workers: list[subprocess.Popen[str]] = []
    try:
        for number in range(load.workers):
            worker = subprocess.Popen(
                [python, "-m", "bench.chat.worker"],
                cwd=ROOT,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            workers.append(worker)
            _write(worker, f"{load.encode()}\n{number}")
        yield workers
    finally:
        for worker in workers:
            try:
                worker.wait(10)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()
            for pipe in (worker.stdin, worker.stdout):
                if pipe is not None:
                    pipe.close()


def _write(worker: subprocess.Popen[str], line: str) -> None:
    assert worker.stdin is not None  # noqa: S101  # opened above
    try:
        worker.stdin.write(line + "\n")
        worker.stdin.flush()
    except BrokenPipeError as error:
        raise LoadError("a worker of the load generator ended") from error


def _read(worker: subprocess.Popen[str], seconds: float) -> dict[str, Any]:
    assert worker.stdout is not None  # noqa: S101  # opened above
    ready, _, _ = select.select([worker.stdout], [], [], seconds)
    line = worker.stdout.readline() if ready else ""
    if not line:
        worker.kill()
        raise LoadError("a worker of the load generator " + ("ended" if ready else "did not answer in time"))
    answer: dict[str, Any] = json.loads(line)
    return answer


def _add_up(counted: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    names = ("sent", "expected", "delivered", "twice", "astray", "failed", "dropped")
    totals: dict[str, Any] = {name: sum(part[name] for part in counted) for name in names}
    waits: Counter[int] = Counter()
    for part in counted:
        waits.update(dict(part["waits"]))
    seconds = (max(part["last"] for part in counted) - min(part["first"] for part in counted)) / 1e9
    if seconds > 0 and totals["delivered"]:
        totals["deliveries_per_second"] = round(totals["delivered"] / seconds, 1)
        totals["messages_per_second"] = round(totals["sent"] / seconds, 1)
        totals["p50"], totals["p99"] = _quantile(waits, 0.5), _quantile(waits, 0.99)
    return totals


def _quantile(waits: Counter[int], share: float) -> float:
    left = share * waits.total()
    for step in sorted(waits):
        left -= waits[step]
        if left <= 0:
            return round(step * STEP_MS, 2)
    return 0.0
