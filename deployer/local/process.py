"""Start a program so that it ends with us, and hear what it says line by line."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

_CHILD = Path(__file__).with_name("child.py")
_CHUNK = 65536
# A line longer than this is shown in pieces, so that a program without line ends fills no memory.
_LONGEST = 256 * 1024
# How long after its end a program's last words may take; a grandchild can hold the pipe open for ever.
_LAST_WORDS = 0.5

Hear = Callable[[str], None]


@dataclass(frozen=True)
class Program:
    """Say what to run.

    Attributes:
        name: what its lines are prefixed with.
        command: the argument vector; it holds no secret.
        environment: all of its environment.
        folder: where it runs.
        stop: the signal that ends it in good order.
        orphaned: the signal that the kernel sends it when we are killed.
        user: whom it runs as; 0 is whoever we are.
    """

    name: str
    command: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path = Path("/")
    stop: signal.Signals = signal.SIGTERM
    orphaned: signal.Signals = signal.SIGKILL
    user: int = 0


class Child:
    """Be a program that runs.

    Args:
        process: it.
        hearing: hands on what it says, until it says no more.
    """

    def __init__(self, process: Process, hearing: asyncio.Task[None]) -> None:
        self._process = process
        self._hearing = hearing

    @property
    def pid(self) -> int:
        """Its number."""
        return self._process.pid

    async def wait(self) -> int:
        """Wait for its end and for its last words; return its status, negative for a signal."""
        status = await self._process.wait()
        # Whatever it started and left behind.
        self.kill()
        await asyncio.wait({self._hearing}, timeout=_LAST_WORDS)
        self._hearing.cancel()
        return status

    def send(self, number: signal.Signals) -> None:
        """Send it a signal."""
        with suppress(ProcessLookupError):
            self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it and all that it started."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)


async def start(program: Program, hear: Hear) -> Child:
    """Start a program in a session of its own: a Ctrl-C in the terminal is ours alone to hand on.

    Args:
        program: what to run.
        hear: is told each line that it says.

    Raises:
        OSError: it cannot be started.
    """
    ours, its = os.pipe()
    try:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-I", "-S", str(_CHILD)),
            *(str(os.getpid()), str(int(program.orphaned)), str(program.user), *program.command),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=its,
            stderr=its,
            env=dict(program.environment),
            cwd=program.folder,
            start_new_session=True,
        )
    except BaseException:
        os.close(ours)
        raise
    finally:
        os.close(its)
    return Child(process, asyncio.create_task(_hear(ours, hear)))


async def run_once(program: Program, hear: Hear) -> int:
    """Run a program to its end and return its status; it is killed when we are not to wait any longer."""
    child = await start(program, hear)
    try:
        return await child.wait()
    finally:
        child.kill()


def describe(status: int) -> str:
    """Write how a process ended, as a person would."""
    if status >= 0:
        return f"ended with status {status}"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"


async def _hear(descriptor: int, hear: Hear) -> None:
    reader = asyncio.StreamReader()
    protocol = asyncio.StreamReaderProtocol(reader)
    transport, _ = await asyncio.get_running_loop().connect_read_pipe(lambda: protocol, os.fdopen(descriptor, "rb", 0))
    try:
        async for line in _lines(reader):
            hear(line.decode(errors="replace").rstrip("\r"))
    finally:
        transport.close()


async def _lines(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    rest = b""
    while chunk := await reader.read(_CHUNK):
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield line
        if len(rest) > _LONGEST:
            yield rest
            rest = b""
    if rest:
        yield rest
