"""Run the engine: its environment, its event stream, and how to stop it without losing state."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

from deployer.errors import ProcessError, StoppedError
from deployer.project import (
    IS_NOT_OURS,
    load_checkpoint,
    passphrase_file,
    project_folder,
    state_file,
    team_passphrase_file,
)
from deployer.workspace import Workspace


def engine_environment(
    workspace: Workspace, paths: Sequence[Path], *, stand_in: bool, embedded: bool = True
) -> dict[str, str]:
    """Name the variables that the engine needs to work on this checkout's stacks.

    Args:
        workspace: the checkout.
        paths: folders that go in front of PATH: the engine's own and its plugins'.
        stand_in: whether the plugins are ours; then nothing may be looked for on the network.
        embedded: whether the stack runs on a cluster of this checkout's own, with its state and its kubeconfig here.
            Any other stack's state may be in a bucket that a team shares, and its kubeconfig is the user's.
    """
    here = f"file://{workspace.state / 'backend'}"
    environ = {
        "PULUMI_HOME": str(workspace.pulumi_home),
        "PULUMI_BACKEND_URL": here if embedded else os.environ.get("PULUMI_BACKEND_URL") or here,
        "PULUMI_CONFIG_PASSPHRASE_FILE": str((passphrase_file if embedded else team_passphrase_file)(workspace)),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
        "PYTHONPATH": str(workspace.root),
        "PATH": os.pathsep.join([*(str(path) for path in paths), os.environ.get("PATH", os.defpath)]),
    }
    if embedded:
        environ["KUBECONFIG"] = str(workspace.cluster / "kubeconfig")
    if stand_in:
        environ["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "1"
    return environ


def silence_log(workspace: Workspace) -> None:
    """Keep the engine from logging every step into its home, which nothing of ours reads.

    The log costs a fifth of a preview's time and up to 500 MB, and the engine has no switch for it. Where it finds a
    file in the folder's place it goes on without.
    """
    place = workspace.pulumi_home / "logs"
    if place.is_dir():
        shutil.rmtree(place)
    if not place.exists():
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


@dataclass(frozen=True)
class Pulumi:
    """The engine, ready to work on one stack of this checkout.

    Attributes:
        executable: the engine.
        workspace: the checkout.
        stack: the stack's name.
        environ: what `engine_environment` named.
    """

    executable: Path
    workspace: Workspace
    stack: str
    environ: Mapping[str, str]

    def init_stack(self) -> None:
        """Make the stack's empty state unless it exists, or another `up` makes it at this very moment."""
        if not self.exists():
            try:
                self.read("stack", "init", self.stack, stack_option=False)
            except ProcessError:
                if not self.exists():
                    raise

    @property
    def is_kept_here(self) -> bool:
        """Tell whether the stack's state lies in this checkout, and not in a place that others share."""
        return self.environ.get("PULUMI_BACKEND_URL", "") in ("", f"file://{self.workspace.state / 'backend'}")

    def exists(self) -> bool:
        """Tell whether the stack has a state."""
        if self.is_kept_here:
            return state_file(self.workspace, self.stack).exists()
        return lists_stack(self.read("stack", "ls", "--json", stack_option=False), self.stack)

    def checkpoint(self) -> dict[str, Any]:
        """Return the newest state; empty before the first update. What is secret in it stays encrypted."""
        if self.is_kept_here:
            return load_checkpoint(self.workspace, self.stack)
        exported = json.loads(self.read("stack", "export")) if self.exists() else {}
        return dict(exported.get("deployment") or {})

    def import_state(self, exported: str) -> None:
        """Put a state in the place of the stack's own.

        Args:
            exported: what `stack export` printed; secret in it is encrypted.

        Raises:
            ProcessError: the engine does not take it.
        """
        # The engine reads it from a file alone, and only its owner can read this one.
        with NamedTemporaryFile("w", dir=self.workspace.state, suffix=".json", encoding="utf-8") as file:
            file.write(exported)
            file.flush()
            self.read("stack", "import", "--file", file.name)

    def read(self, *args: str, stack_option: bool = True) -> str:
        """Run a command that changes no resource and return what it prints.

        Raises:
            ProcessError: it failed.
        """
        command = self._command(args, stack_option=stack_option)
        done = subprocess.run(
            command,
            cwd=project_folder(self.workspace),
            env={**os.environ, **self.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            advice = IS_NOT_OURS if "incorrect passphrase" in done.stderr else ""
            raise ProcessError(command, status=done.returncode, output=done.stderr or done.stdout, advice=advice)
        return done.stdout

    def stream(
        self,
        *args: str,
        on_event: Callable[[Mapping[str, Any]], None],
        on_interrupt: Callable[[], None] = lambda: None,
    ) -> tuple[int, str]:
        """Run an operation and hand on its events as they come.

        Args:
            args: the operation with its options (`up --skip-preview`).
            on_event: gets each engine event.
            on_interrupt: is called once when Ctrl-C has been passed on to the engine.

        Returns:
            The exit status and what went to standard error.

        Raises:
            StoppedError: the user stopped it; the engine has saved its state.
        """
        command = self._command([*args, "--json", "--color", "never"], stack_option=True)
        # Without it `preview` prints one document at its end instead of an event a line.
        environ = {**os.environ, **self.environ, "PULUMI_ENABLE_STREAMING_JSON_PREVIEW": "1"}
        with tempfile.TemporaryFile(mode="w+", encoding="utf-8") as errors:
            process = subprocess.Popen(
                _tied_to_us(command),
                cwd=project_folder(self.workspace),
                env=environ,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                # A terminal sends Ctrl-C to every process of the group: the engine's plugins would die before it.
                start_new_session=True,
            )
            with process, _passing_on_interrupts(process, on_interrupt) as interrupted:
                assert process.stdout is not None  # noqa: S101  # asked for above
                for event in _events(process.stdout):
                    on_event(event)
                status = process.wait()
            errors.seek(0)
            said = errors.read()
        if interrupted:
            raise StoppedError(
                "Stopped as you asked. The engine has saved what it had done.",
                advice=f"The next `./stampchat up {self.stack}` goes on from there.",
            )
        return status, said

    def _command(self, args: Sequence[str], *, stack_option: bool) -> list[str]:
        stack = ["--stack", self.stack] if stack_option else []
        return [str(self.executable), *args, *stack, "--non-interactive"]


def lists_stack(listing: str, stack: str) -> bool:
    """Tell whether what `stack ls --json` printed names a stack; some backends put an organisation before it."""
    return any(str(entry.get("name")).rpartition("/")[2] == stack for entry in json.loads(listing or "[]"))


def _tied_to_us(command: list[str]) -> list[str]:
    """Have the kernel interrupt the engine should this process be killed; an orphan would go on for minutes."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "INT", *command] if setpriv else command


def _events(lines: Iterator[str] | Any) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            continue
        if isinstance(event, dict):
            yield event


@contextmanager
def _passing_on_interrupts(process: subprocess.Popen[str], on_interrupt: Callable[[], None]) -> Iterator[list[int]]:
    """Pass Ctrl-C on: the first ends the engine in good order, a second one at once.

    The engine is given the time that it needs, since it writes what it knows before it leaves.
    """
    interrupts: list[int] = []

    def pass_on(number: int, _frame: object) -> None:
        interrupts.append(number)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        if len(interrupts) == 1:
            on_interrupt()

    signals = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, pass_on) for number in signals}
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
