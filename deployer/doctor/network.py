"""Ask whether the registries can be reached, by the clients that this machine is set up with; no address is here."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from deployer.doctor.model import Finding, State
from deployer.doctor.tools import find_go
from deployer.fetch.download import answers
from deployer.fetch.gomod import go_environment
from deployer.needs import Needs
from deployer.versions import load_versions

_SECONDS = 4
# The smallest module that our own pins name, and a package that every lock of ours has.
_MODULE = "golang.org/x/sync@v0.1.0"
_PACKAGE = "typer"
_ADDRESS = re.compile(r"'([^']+)'")


def examine_network(needs: Needs) -> Iterator[Finding]:
    """Yield whether each registry answers; all are asked at once, and none for longer than some seconds.

    Args:
        needs: what the cache lacks; a registry that nothing is wanted from may be away.
    """
    venv_made = sys.prefix != sys.base_prefix
    asked: list[tuple[str, bool, Callable[[Path], str], str]] = [
        ("pip", bool(needs.wheels) or not venv_made, _ask_pip, "pip's configuration (`pip config list`)"),
        ("go", bool(needs.builds), _ask_go, "`go env GOPROXY`"),
        ("apt", bool(needs.packages), _ask_apt, "the sources in /etc/apt"),
    ]
    with tempfile.TemporaryDirectory(prefix="stampchat-doctor-") as scratch, ThreadPoolExecutor() as pool:
        releases = pool.submit(_ask_releases)
        answered = [pool.submit(ask, Path(scratch)) for _, _, ask, _ in asked]
        for (name, needed, _, where), answer in zip(asked, answered, strict=True):
            yield _judge(name, answer.result(), where, needed=needed)
        problem = releases.result()
    said = f"not reached ({problem}): engine and plugins are built, or stand-ins serve" if problem else "answer"
    yield Finding("network", "releases", "note" if problem else "ok", said)


def _judge(name: str, problem: str, where: str, *, needed: bool) -> Finding:
    if not problem:
        return Finding("network", name, "ok", "its registry answers")
    state: State = "missing" if needed else "note"
    advice = f"Mend the network or {where}, or bring a bundle: `./stampchat bundle FILE` on a machine that has one."
    return Finding("network", name, state, problem, advice if needed else "Nothing is wanted from it.")


def _ask_pip(_scratch: Path) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "index", "versions", _PACKAGE]
    return _run([*command, "--timeout", str(_SECONDS // 2), "--retries", "0"], {})


def _ask_go(scratch: Path) -> str:
    go = find_go()
    if go is None:
        return "there is no `go` to ask with"
    return _run([go, "list", "-m", "-json", _MODULE], go_environment(scratch), folder=scratch)


def _ask_apt(scratch: Path) -> str:
    helper = Path("/usr/lib/apt/apt-helper")
    if shutil.which("apt-get") is None or not helper.exists():
        return "there is no `apt-get` to ask with"
    listed = subprocess.run(["apt-get", "update", "--print-uris"], capture_output=True, text=True, check=False)
    address = _ADDRESS.search(listed.stdout)
    if address is None:
        return "apt has no sources"
    options = ["-o", f"Acquire::http::Timeout={_SECONDS // 2}", "-o", "Acquire::Retries=0"]
    options += ["-o", "APT::Sandbox::User="]
    return _run([str(helper), *options, "download-file", address[1], str(scratch / "release")], {})


def _ask_releases() -> str:
    entry = load_versions()["engine"]
    return answers(entry["checksums"].format(version=entry["version"]))


def _run(command: Sequence[str], environ: dict[str, str], *, folder: Path | None = None) -> str:
    """Return "" when a client is answered, or its last words."""
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=os.environ | environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"no answer within {_SECONDS} s"
    except OSError as error:
        return str(error)
    words = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
    return "" if done.returncode == 0 else (words[-1][:200] if words else f"status {done.returncode}")
