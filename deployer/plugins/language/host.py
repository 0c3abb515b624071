"""Answer the engine's calls to a language host."""

from __future__ import annotations

import json
import os
import platform
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import grpc
from google.protobuf.empty_pb2 import Empty
from pulumi.runtime.proto import language_pb2, language_pb2_grpc, plugin_pb2

from deployer.errors import DeployError
from deployer.plugins.language.program import Programs, find_python
from deployer.plugins.rpc import EngineLog
from deployer.plugins.values import decode

_EXEC = "pulumi-language-python-exec"
_ALREADY_SAID = 32  # the program's exit status when it has shown its error itself
_CHUNK = 1 << 16


class LanguageHost(language_pb2_grpc.LanguageRuntimeServicer):
    """Run Python programs for the engine.

    Args:
        engine: the engine's address; where it is not known yet, the engine says it with what it has run.
        programs: what starts and ends them.
    """

    def __init__(self, engine: str, programs: Programs) -> None:
        self._engine = engine
        self._programs = programs

    def GetPluginInfo(self, request: Empty, context: Any) -> plugin_pb2.PluginInfo:  # noqa: ARG002, D102, N802
        return plugin_pb2.PluginInfo(version=version("pulumi"))

    def GetRequiredPackages(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        # The plugins are in place before any operation; naming them would make the engine look for others.
        return language_pb2.GetRequiredPackagesResponse()

    def InstallDependencies(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: ARG002, D102, N802
        yield language_pb2.InstallDependenciesResponse(stdout=b"The launcher installs the dependencies.\n")

    def GetProgramDependencies(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return language_pb2.GetProgramDependenciesResponse()

    def RuntimeOptionsPrompts(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        return language_pb2.RuntimeOptionsResponse()

    def About(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        python, _ = find_python(decode(request.info.options), request.info.root_directory)
        return language_pb2.AboutResponse(executable=python, version=platform.python_version())

    def Run(self, request: Any, context: Any) -> Any:  # noqa: ARG002, D102, N802
        info = request.info
        python, environment = find_python(decode(info.options), info.root_directory)
        environment |= {
            "PULUMI_CONFIG": json.dumps(dict(request.config)),
            "PULUMI_CONFIG_SECRET_KEYS": json.dumps(list(request.configSecretKeys)),
        }
        engine, args = (self._engine, request.args) if self._engine else (request.args[0], request.args[1:])
        command = [python, "-u", _find_exec(), *_flags(request, engine), _program(info), *args]
        if self._engine:
            program = self._programs.start(command, cwd=info.program_directory, env=environment)
        else:
            program = self._programs.run(command, cwd=info.program_directory, env=environment)
            _relay(program, EngineLog(engine))
        status = self._programs.wait(program)
        if status == _ALREADY_SAID:
            return language_pb2.RunResponse(bail=True)
        return language_pb2.RunResponse(error=f"the program exited with status {status}" if status else "")

    def RunPlugin(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: D102, N802
        info = request.info
        try:
            python, environment = find_python(decode(info.options), info.root_directory)
        except DeployError as error:
            context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        environment |= dict(pair.split("=", 1) for pair in request.env)
        command = [python, "-u", *_plugin(request)]
        program = self._programs.start(
            command, cwd=request.pwd, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        yield from _stream(program)
        yield language_pb2.RunPluginResponse(exitcode=self._programs.wait(program))

    def Cancel(self, request: Empty, context: Any) -> Empty:  # noqa: ARG002, D102, N802
        self._programs.kill()
        return Empty()


def _flags(request: Any, engine: str) -> list[str]:
    """Return the flags of Pulumi's own start-up file for Python programs."""
    flags = {
        "--monitor": request.monitor_address,
        "--engine": engine,
        "--project": request.project,
        "--stack": request.stack,
        "--organization": request.organization,
        "--pwd": request.pwd,
        "--root_directory": request.info.root_directory,
        "--dry_run": "true" if request.dryRun else "false",
        "--parallel": str(request.parallel),
    }
    return [part for flag, value in flags.items() if value for part in (flag, value)]


def _program(info: Any) -> str:
    return str(Path(info.program_directory, info.entry_point or "."))


def _plugin(request: Any) -> list[str]:
    """Return what Python is to run: a policy pack starts by Pulumi's own runner, other plugins by themselves."""
    args = list(request.args)
    if request.kind == "analyzer":
        return ["-m", "pulumi.policy", args[0], _program(request.info), *args[2:]]
    return [_program(request.info), *args]


def _find_exec() -> str:
    """Find Pulumi's start-up file for Python programs: beside the host's executable.

    Raises:
        DeployError: it is not there.
    """
    path = Path(sys.argv[0]).absolute().parent / _EXEC
    if not path.exists():
        raise DeployError(f"There is no {path}.", advice="Start the engine through `./stampchat`, which puts it there.")
    return str(path)


def _relay(program: subprocess.Popen[bytes], log: EngineLog) -> None:
    """Have the engine show what a program prints, until that ends; of a host that it started it reads our output."""
    for line in program.stdout or ():
        log.log(line.decode(errors="replace"))


def _stream(program: subprocess.Popen[bytes]) -> Iterator[Any]:
    """Give the engine what the plugin prints, as it comes, until both its streams end."""
    said: queue.SimpleQueue[Any] = queue.SimpleQueue()
    wrap = language_pb2.RunPluginResponse
    for stream, message in (
        (program.stdout, lambda chunk: wrap(stdout=chunk)),
        (program.stderr, lambda chunk: wrap(stderr=chunk)),
    ):
        if stream is not None:
            threading.Thread(target=_pump, args=(stream, message, said), daemon=True).start()
    for _ in range(2):
        while (item := said.get()) is not None:
            yield item


def _pump(stream: IO[bytes], message: Callable[[bytes], Any], said: queue.SimpleQueue[Any]) -> None:
    while chunk := os.read(stream.fileno(), _CHUNK):
        said.put(message(chunk))
    said.put(None)
