"""Supervise small programs for real: they crash, are changed, are stubborn, and outlive nobody."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest

from deployer.local.console import Console
from deployer.local.process import Program, describe, run_once
from deployer.local.unit import Unit

LIMIT = 60
RUN = "import time; print('up', flush=True); time.sleep(600)"
ONE_CRASH = "import os, sys, time; n = len(open('count').read()); open('count', 'a').write('x'); "
STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)"
)

Keep = Callable[..., Unit]


def program(code: str, folder: Path, name: str = "chat") -> Program:
    return Program(name, (sys.executable, "-c", code), {"PATH": os.environ["PATH"]}, folder=folder)


async def until(fact: Callable[[], object]) -> None:
    async with asyncio.timeout(LIMIT):
        while not fact():  # noqa: ASYNC110  # what is waited for is in another process
            await asyncio.sleep(0.01)


async def fine() -> str:
    return ""


@pytest.fixture
async def keep(console: Console, tmp_path: Path) -> AsyncIterator[Keep]:
    units: list[Unit] = []
    tasks: list[asyncio.Task[None]] = []
    (tmp_path / "count").touch()

    def make(code: str, prepare: Callable[[], Awaitable[str]] = fine, patience: float = 5) -> Unit:
        units.append(Unit(program(code, tmp_path), console, prepare=prepare, patience=patience))
        tasks.append(asyncio.ensure_future(units[-1].keep()))
        return units[-1]

    yield make
    for unit in units:
        unit.kill()
    await asyncio.wait_for(asyncio.gather(*tasks), LIMIT)


async def test_a_crash_is_told_with_its_last_words_and_followed_by_a_start(keep: Keep, stream: io.StringIO) -> None:
    unit = keep(ONE_CRASH + "n or sys.exit('no more'); print('up again', flush=True); time.sleep(600)")

    await until(lambda: "up again" in stream.getvalue())

    assert unit.crashes == 1
    assert "chat ended with status 1; its last words: no more; again in 0.5 s" in stream.getvalue()


async def test_a_killed_program_comes_back(keep: Keep, stream: io.StringIO, tmp_path: Path) -> None:
    keep(ONE_CRASH + "open('pid', 'w').write(str(os.getpid())); print('up', n, flush=True); time.sleep(600)")
    await until(lambda: "up 0" in stream.getvalue())

    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)

    await until(lambda: "up 1" in stream.getvalue())
    assert "chat was ended by SIGKILL" in stream.getvalue()


async def test_the_same_crash_again_and_again_is_told_once(keep: Keep, stream: io.StringIO) -> None:
    unit = keep("raise SystemExit('the same')")

    await until(lambda: unit.crashes == 3)

    assert stream.getvalue().count("its last words") == 1


async def test_a_change_ends_what_runs_and_starts_it_anew(keep: Keep, stream: io.StringIO) -> None:
    unit = keep(ONE_CRASH + "print('up', n, flush=True); time.sleep(600)")
    await until(lambda: "up 0" in stream.getvalue())

    assert await unit.reload()

    await until(lambda: "up 1" in stream.getvalue())
    assert unit.crashes == 0


async def test_a_change_that_does_not_start_leaves_what_runs(keep: Keep, stream: io.StringIO, tmp_path: Path) -> None:
    said = [""]

    async def prepare() -> str:
        return said[0]

    unit = keep(ONE_CRASH + "print('up', n, flush=True); time.sleep(600)", prepare)
    await until(lambda: "up 0" in stream.getvalue())
    said[0] = "SyntaxError: no"

    assert not await unit.reload()

    assert "the change does not start: SyntaxError: no; what ran goes on" in stream.getvalue()
    assert (tmp_path / "count").read_text() == "x"
    said[0] = ""
    assert await unit.reload()
    await until(lambda: "up 1" in stream.getvalue())


async def test_a_change_wakes_what_waits_after_a_crash(
    keep: Keep, stream: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deployer.local.unit._FIRST_PAUSE", 3600.0)
    unit = keep(ONE_CRASH + "n or sys.exit('no'); print('up', n, flush=True); time.sleep(600)")
    await until(lambda: unit.crashes == 1)

    assert await unit.reload()

    await until(lambda: "up 1" in stream.getvalue())


async def test_a_stubborn_program_is_killed_after_a_while(keep: Keep, stream: io.StringIO) -> None:
    unit = keep(STUBBORN, patience=0.2)
    await until(lambda: "up" in stream.getvalue())

    await asyncio.wait_for(unit.stop(), LIMIT)

    assert "did not end within" in stream.getvalue()


async def test_a_program_that_is_not_there_is_told(console: Console, stream: io.StringIO, tmp_path: Path) -> None:
    unit = Unit(Program("auth", ("/no/such",), {}, folder=tmp_path / "no"), console, prepare=fine, patience=1)
    task = asyncio.ensure_future(unit.keep())
    await until(lambda: unit.crashes)
    await unit.stop()
    await task

    assert "auth it cannot be started: No such file or directory" in stream.getvalue()


async def test_what_a_program_started_goes_with_it(tmp_path: Path) -> None:
    said: list[str] = []
    grandchild = f"import subprocess, sys; print(subprocess.Popen([sys.executable, '-c', {RUN!r}]).pid, flush=True)"

    status = await asyncio.wait_for(run_once(program(grandchild, tmp_path), said.append), LIMIT)

    assert status == 0
    await until(lambda: not _alive(int(next(line for line in said if line.isdigit()))))


async def test_a_line_without_an_end_is_heard_in_pieces(tmp_path: Path) -> None:
    said: list[str] = []

    await run_once(program("import sys; sys.stdout.write('x' * 1_000_000 + '\\nlast')", tmp_path), said.append)

    assert "".join(said) == "x" * 1_000_000 + "last"
    assert said[-1] == "last"
    assert max(map(len, said)) < 400_000


def test_nothing_outlives_a_killed_supervisor(tmp_path: Path) -> None:
    code = """
import asyncio, sys
from pathlib import Path
from deployer.local.process import Program, run_once
child = "import os, time; print(os.getpid(), flush=True); time.sleep(600)"
asyncio.run(run_once(Program("x", (sys.executable, "-c", child), {}), lambda line: print(line, flush=True)))
"""
    root = Path(__file__).resolve().parents[3]
    supervisor = subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, env={"PYTHONPATH": str(root)}, stdout=subprocess.PIPE, text=True
    )
    assert supervisor.stdout is not None
    with supervisor.stdout as output:
        pid = int(output.readline())
        supervisor.kill()
        supervisor.wait(LIMIT)

    asyncio.run(until(lambda: not _alive(pid)))


@pytest.mark.parametrize(
    ("status", "words"), [(0, "ended with status 0"), (-9, "was ended by SIGKILL"), (-200, "was ended by signal 200")]
)
def test_an_end_is_described(status: int, words: str) -> None:
    assert describe(status) == words


def _alive(pid: int) -> bool:
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    return False
