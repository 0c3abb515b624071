"""Run the command as a person does, in a copy of the checkout: chat, change, kill, stop, start again, start anew."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import mkdtemp
from typing import Any
from urllib.error import HTTPError, URLError

import pytest

from deployer.local.layout import Layout, load_layout
from deployer.smoke import Result, smoke
from deployer.workspace import ROOT, Workspace
from tests.ports import free_port

LIMIT = 120
PARTS = ("cli", "deployer", "infra", "services", "web")

pytestmark = [pytest.mark.timeout(600), pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")]


class Command:
    """Run `./stampchat local` in a copy, and read what it says."""

    def __init__(self, checkout: Path) -> None:
        self.checkout = checkout
        self.port = free_port()
        self.layout: Layout = load_layout(Workspace(checkout, checkout / ".stampchat", checkout / "cache"))
        self._output = checkout / "output"
        self._process: subprocess.Popen[bytes] | None = None
        self._number = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._command(*words), env=self.environ, capture_output=True, text=True, check=False)

    def start(self, *words: str) -> None:
        self._number += 1
        self._output = self.checkout / f"output-{self._number}"
        with self._output.open("wb") as output:
            self._process = subprocess.Popen(
                self._command("local", "--port", str(self.port), *words),
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )

    def serve(self, *words: str) -> None:
        self.start(*words)
        self.hear("StampChat serves")

    def said(self) -> str:
        return self._output.read_text()

    def hear(self, words: str, times: int = 1) -> None:
        self.until(lambda: self.said().count(words) >= times, words)

    def until(self, fact: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + LIMIT
        while not fact():
            assert self._process is not None
            ended = self._process.poll()
            assert time.monotonic() < deadline, f"waited in vain for {what}:\n{self.said()}"
            assert ended is None or fact(), f"it ended with {ended} before {what}:\n{self.said()}"
            time.sleep(0.05)

    def interrupt(self) -> int:
        assert self._process is not None
        self._process.send_signal(signal.SIGINT)
        return self._process.wait(LIMIT)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(LIMIT)

    def processes(self) -> dict[int, list[str]]:
        """Return what runs for this checkout, by what names it: its path, or its module and folder."""
        found = {}
        for entry in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):
                words = (entry / "cmdline").read_bytes().decode(errors="replace").rstrip("\0").split("\0")
                here = str(self.checkout) in " ".join(words) or (entry / "cwd").readlink() == self.checkout
                if here and (entry / "stat").read_text().rsplit(")", 1)[1].split()[0] != "Z":
                    found[int(entry.name)] = words
        return found

    def until_gone(self) -> None:
        deadline = time.monotonic() + LIMIT
        while found := self.processes():
            assert time.monotonic() < deadline, found
            time.sleep(0.05)

    def pid_of(self, word: str) -> int:
        return next(pid for pid, words in sorted(self.processes().items()) if any(w.endswith(word) for w in words))

    def _command(self, *words: str) -> list[str]:
        return [str(self.checkout / "stampchat"), *words]

    @property
    def environ(self) -> dict[str, str]:
        own = {key: value for key, value in os.environ.items() if not key.startswith(("STAMPCHAT_", "COV_"))}
        return own | {"STAMPCHAT_VENV": sys.prefix, "STAMPCHAT_CACHE": str(self.checkout / "cache")}


@pytest.fixture(scope="module")
def command() -> Iterator[Command]:
    """Copy the checkout to where Postgres's own user reaches it; pytest's folders are root's alone."""
    folder = Path(mkdtemp(prefix="stampchat-local-", dir="/tmp"))
    folder.chmod(0o755)
    ignore = shutil.ignore_patterns("__pycache__")
    for part in PARTS:
        shutil.copytree(ROOT / part, folder / part, ignore=ignore)
    shutil.copy2(ROOT / "stampchat", folder)
    made = Command(folder)
    yield made
    made.kill()
    made.until_gone()
    shutil.rmtree(folder)


@pytest.fixture(autouse=True)
def _stopped(command: Command) -> Iterator[None]:
    """Let every test begin with nothing running."""
    yield
    command.kill()
    command.until_gone()


def ask(url: str, body: object = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, data=data, headers=headers)  # noqa: S310  # http on this machine
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310  # the same
        return json.load(answer)


def status(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310  # the same
            return int(answer.status)
    except HTTPError as error:
        with error:
            return error.code


def log_in(command: Command, name: str) -> Any:
    return ask(f"{command.url}/auth/login", {"authProvider": "dev", "token": name})


def with_line(source: str, line: str) -> str:
    future = "from __future__ import annotations\n"
    assert future in source
    return source.replace(future, f"{future}{line}\n")


def answers(command: Command, path: str, wanted: object) -> bool:
    try:
        return bool(ask(f"{command.url}{path}") == wanted)
    except (URLError, ValueError, OSError):
        return False


def test_two_people_chat_and_one_ctrl_c_ends_all_of_it(command: Command) -> None:
    command.serve()
    results: list[Result] = []

    smoke(command.url, results.append)

    assert len(results) > 20
    assert all(result.passed for result in results)
    for path in ("/authtest", "/authentic/test", "/auth/internal/users", "/index.html"):
        assert status(f"{command.url}{path}") == 404
    # The page.
    assert status(f"{command.url}/") == 200
    second = command.run("local")
    assert second.returncode == 2
    assert f"process {command.pid}, at {command.url}" in second.stderr
    assert command.interrupt() == 0
    assert command.processes() == {}
    assert "Traceback" not in command.said()
    assert command.run("smoke", "--local").returncode == 2


def test_everything_but_the_gateway_of_a_lan_is_this_machines_alone(command: Command) -> None:
    command.serve()
    listening = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                listening.add((fields[1].split(":")[0], int(fields[1].split(":")[1], 16), fields[9]))
    inodes = {
        str(link.readlink())
        for pid in command.processes()
        for link in Path(f"/proc/{pid}/fd").iterdir()
        if link.is_symlink()
    }
    ours = {(address, port) for address, port, inode in listening if f"socket:[{inode}]" in inodes}

    assert {address for address, _ in ours} == {"0100007F"}
    assert len(ours) == 8


def test_a_saved_change_is_served_and_a_broken_one_is_not(command: Command) -> None:
    command.serve()
    source = command.checkout / "services" / "auth" / "routes.py"
    original = source.read_text()
    assert '"auth ok"' in original
    chat = command.pid_of("services.chat")

    source.write_text(original.replace('"auth ok"', '"auth changed"'))
    command.until(lambda: answers(command, "/auth/test", {"status": "auth changed"}), "the change")

    source.write_text(original.replace("def ", "def def ", 1))
    command.hear("services/auth/routes.py, line")
    assert answers(command, "/auth/test", {"status": "auth changed"})

    source.write_text(with_line(original, "import no_such_module"))
    command.hear("No module named 'no_such_module'; what ran goes on")
    assert answers(command, "/auth/test", {"status": "auth changed"})

    source.write_text(original)
    command.until(lambda: answers(command, "/auth/test", {"status": "auth ok"}), "the change back")
    assert command.pid_of("services.chat") == chat

    shared = command.checkout / "services" / "clock.py"
    shared.write_text(shared.read_text() + "\n# changed\n")
    command.hear("services/clock.py changed: auth, chat, notifications anew")
    command.hear("auth, chat, notifications served anew")
    assert command.pid_of("services.chat") != chat


def test_a_killed_service_and_a_killed_database_come_back(command: Command) -> None:
    command.serve()
    log_in(command, "Ada")

    os.kill(command.pid_of("services.chat"), signal.SIGKILL)
    command.hear("chat was ended by SIGKILL")
    command.until(lambda: answers(command, "/auth/test-chat", {"test": "success"}), "chat")

    os.kill(command.pid_of("/bin/postgres"), signal.SIGKILL)
    command.hear("postgres was ended by SIGKILL")
    command.until(lambda: _logs_in(command, "Ada"), "a log-in with the new server")

    os.kill(command.pid_of("/bin/traefik"), signal.SIGKILL)
    command.hear("gateway was ended by SIGKILL")
    command.until(lambda: answers(command, "/auth/test", {"status": "auth ok"}), "the gateway")
    assert command.interrupt() == 0


def test_data_stays_over_a_stop_and_a_kill_until_a_fresh_start(command: Command) -> None:
    command.serve("--fresh", "--yes")
    ada, grace = log_in(command, "Ada"), log_in(command, "Grace")
    assert (ada["id"], grace["id"]) == (1, 2)
    assert command.interrupt() == 0

    command.serve()
    assert log_in(command, "Grace")["id"] == 2
    # Nothing is ended in order, and nothing may stay all the same.
    command.kill()
    command.until_gone()

    (command.layout.database / "data" / "postmaster.pid").write_text("1\n/nowhere\n")
    command.serve()
    assert log_in(command, "Grace")["id"] == 2
    assert command.interrupt() == 0

    refused = command.run("local", "--fresh", "--port", str(command.port))
    assert refused.returncode == 2
    assert "about to be deleted" in refused.stderr

    command.serve()
    assert log_in(command, "Grace")["id"] == 2
    # At once: what the killed one left is still ending.
    command.kill()
    command.serve("--fresh", "--yes")
    assert log_in(command, "Grace")["id"] == 1


def test_a_second_ctrl_c_kills(command: Command) -> None:
    command.serve()
    os.kill(command.pid_of("services.chat"), signal.SIGSTOP)

    os.kill(command.pid, signal.SIGINT)
    command.hear("Ctrl-C again kills")

    assert command.interrupt() == 130


def test_a_reader_who_leaves_ends_it_in_order(command: Command) -> None:
    words = f"{command.checkout}/stampchat local --port {command.port} | head -n 1"

    done = subprocess.run(
        ["bash", "-c", f"{words}; echo ${{PIPESTATUS[0]}}"],
        env=command.environ,
        capture_output=True,
        text=True,
        check=True,
        timeout=LIMIT,
    )

    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""
    assert command.processes() == {}


def test_machines_read_json_lines(command: Command) -> None:
    command.start("--json")
    command.hear('"serving", "url"')
    log_in(command, "Ada")
    assert command.interrupt() == 0

    lines = [json.loads(line) for line in command.said().splitlines()]
    assert {"local", "auth", "chat", "notifications"} <= {line["service"] for line in lines}
    serving = next(line for line in lines if line["service"] == "local" and line["message"] == "serving")
    assert serving["url"] == command.url
    assert serving["lan"] == []


def test_a_service_that_cannot_start_waits_for_its_mending(command: Command) -> None:
    source = command.checkout / "services" / "notifications" / "app.py"
    original = source.read_text()
    source.write_text(with_line(original, "raise RuntimeError('half-written')"))
    try:
        command.start()
        command.hear("half-written")
        command.until(lambda: answers(command, "/auth/test", {"status": "auth ok"}), "auth, which is well")
        command.hear("half-written")
    finally:
        source.write_text(original)

    command.hear("StampChat serves")


def _logs_in(command: Command, name: str) -> bool:
    try:
        return bool(log_in(command, name))
    except (URLError, OSError):
        return False
