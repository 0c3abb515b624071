"""Find a program's Python, and run programs so that none outlives its host."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from deployer.errors import UsageError


def find_python(options: Mapping[str, Any], root: str) -> tuple[str, dict[str, str]]:
    """Return the interpreter of a program and the environment that goes with it.

    Args:
        options: the runtime's options in Pulumi.yaml or PulumiPolicy.yaml.
        root: the folder of that file.

    Raises:
        UsageError: the options name what this host does not have.
    """
    toolchain = options.get("toolchain", "pip")
    if toolchain != "pip":
        raise UsageError(
            f"This language host knows the toolchain `pip` alone, and the project asks for `{toolchain}`.",
            advice="Take the option out, or put the official Pulumi CLI on PATH.",
        )
    named = str(options.get("virtualenv") or "")
    if not named:
        return os.environ.get("PULUMI_PYTHON_CMD") or sys.executable, {}
    folder = Path(root, named).absolute()
    python = folder / "bin" / "python"
    if not python.exists():
        raise UsageError(
            f"The option `virtualenv` names {named!r}, and there is no {python}.",
            advice="Make it with `python3 -m venv` and install the project's requirements into it.",
        )
    path = os.pathsep.join([str(folder / "bin"), os.environ.get("PATH", os.defpath)])
    return str(python), {"VIRTUAL_ENV": str(folder), "PATH": path}


# Loads what every program of ours loads, and is then the program that it is told to be.
_PREPARED = """
import json, os, runpy, sys
import pulumi, pulumi.runtime, pulumi_kubernetes, pulumi_random
told = json.loads(sys.stdin.readline())
os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
os.environ.update(told["env"])
sys.argv = told["argv"]
sys.path[0] = os.path.dirname(sys.argv[0])
runpy.run_path(sys.argv[0], run_name="__main__")
"""


class Programs:
    """Start programs, each in a process group of its own, and end them all at once."""

    def __init__(self) -> None:
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Lock()
        self._closed = False
        self._prepared: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Have a process load the SDK already, in which the first program of this very Python will run."""
        command = [sys.executable, "-u", "-c", _PREPARED]
        cwd, pipe = str(Path.cwd()), subprocess.PIPE
        self._prepared = self.start(command, cwd=cwd, env={}, stdin=pipe, stdout=pipe, stderr=subprocess.STDOUT)

    def run(self, command: Sequence[str], *, cwd: str, env: Mapping[str, str]) -> subprocess.Popen[bytes]:
        """Start a Python program whose output is to be read, in the process that is prepared if there is one.

        Args:
            command: the interpreter, -u, the program's file and its arguments.
            cwd: its working directory; Pulumi's start-up file goes to the one that its arguments say.
            env: what its environment has besides ours.
        """
        python, _unbuffered, *argv = command
        prepared, self._prepared = self._prepared, None
        if prepared is None or prepared.stdin is None or python != sys.executable:
            return self.start(command, cwd=cwd, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with suppress(BrokenPipeError), prepared.stdin as told:
            told.write(json.dumps({"argv": argv, "env": dict(env)}).encode() + b"\n")
        return prepared

    def start(
        self,
        command: Sequence[str],
        *,
        cwd: str,
        env: Mapping[str, str],
        stdin: int | IO[bytes] | None = None,
        stdout: int | IO[bytes] | None = None,
        stderr: int | IO[bytes] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a program.

        Args:
            command: its argument vector; it holds no secret.
            cwd: its working directory.
            env: what its environment has besides ours.
            stdin: where its input comes from; ours if None.
            stdout: where its output goes; ours if None.
            stderr: where its errors go; ours if None.
        """
        with self._lock:
            program = subprocess.Popen(
                command,
                cwd=cwd,
                env=os.environ | env,
                stdin=stdin,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            self._running.add(program)
            if self._closed:
                _end(program)
        return program

    def wait(self, program: subprocess.Popen[bytes]) -> int:
        """Wait for a program and return its exit status."""
        status = program.wait()
        with self._lock:
            self._running.discard(program)
        return status

    def kill(self) -> None:
        """End all programs hard: a program that is told politely prints tracebacks into the diagnostics."""
        with self._lock:
            self._closed = True
            for program in self._running:
                _end(program)


def _end(program: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(program.pid, signal.SIGKILL)
