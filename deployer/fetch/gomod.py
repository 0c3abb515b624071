"""Build programs from Go modules, pinned by the go.sum beside our sources."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from deployer.errors import DeployError, ProcessError
from deployer.fetch.atomic import exclusive, settle, staging
from deployer.report import Report

_NOTE_EVERY = 5.0
_INSTALL_GO = (
    "Install Go (Debian package `golang-go`, or a newer one from https://go.dev/dl), put `go` on PATH "
    "and run this again."
)


def go_build(
    source: Path,
    package: str,
    output: Path,
    *,
    cache: Path,
    ldflags: str = "",
    what: str,
    report: Report,
    takes: str = "",
) -> None:
    """Build one program and move it into its place when it is whole; the sources stay as they are.

    Args:
        source: a folder with go.mod and go.sum.
        package: what to build, "." or the import path of a command in a required module.
        output: where the program goes.
        cache: our cache folder; the Go caches live in its go/.
        ldflags: linker flags besides those that leave out symbols.
        what: what the program is, for progress and errors ("the Pulumi engine").
        report: where progress goes.
        takes: how long it may take with empty caches ("about 4 minutes").

    Raises:
        DeployError: Go is missing, the disk is full, or the build failed.
    """
    command = [go_command(), "build", "-v", "-trimpath", "-ldflags", f"-s -w {ldflags}".strip(), "-o"]
    with exclusive(output), staging(output) as folder:
        built = folder / output.name
        report.note(f"building {what} from its Go modules{takes and ', '}{takes}")
        # What Go works in lies there too: a build that is killed leaves it, and the next one takes it away.
        environment = go_environment(cache) | {"GOTMPDIR": str(folder)}
        _follow([*command, str(built), package], source, environment, what=what, report=report)
        settle(built, output)


def module_dir(source: Path, module: str, *, cache: Path) -> Path:
    """Return the folder of a module that `source` requires, downloading it if needed.

    Raises:
        DeployError: Go is missing, or the module cannot be had.
    """
    go = go_command()
    _run([go, "mod", "download", module], source, cache)
    return Path(_run([go, "list", "-m", "-f", "{{.Dir}}", module], source, cache).strip())


def go_command() -> str:
    """Find Go.

    Raises:
        DeployError: there is none.
    """
    found = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if found is None:
        raise DeployError("This needs the Go compiler, and there is no `go` on PATH.", advice=_INSTALL_GO)
    return found


def go_environment(cache: Path) -> dict[str, str]:
    """Return the environment of our Go commands: what they keep is in our cache, and nothing is written elsewhere."""
    return os.environ | {
        **_own_config(cache),
        # What is known of the checksum database lies there.
        "GOPATH": str(cache / "go" / "path"),
        "GOMODCACHE": str(cache / "go" / "mod"),
        "GOCACHE": str(cache / "go" / "build"),
        "CGO_ENABLED": "0",
        "GOGC": "400",  # memory for time: a fifth off the wall time of the large builds
        "GOFLAGS": "-modcacherw -mod=readonly",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
    }


def _own_config(cache: Path) -> dict[str, str]:
    """Let Go count its use (https://go.dev/doc/telemetry) in our cache, and read the user's settings all the same.

    Elsewhere than on Linux nothing says where it counts.
    """
    if sys.platform != "linux":
        return {}
    config = Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config")
    settings = os.environ.get("GOENV") or str(config / "go" / "env")
    return {"XDG_CONFIG_HOME": str(cache / "go" / "config"), "GOENV": settings}


def _follow(command: Sequence[str], source: Path, environment: Mapping[str, str], *, what: str, report: Report) -> None:
    with subprocess.Popen(
        command, cwd=source, env=environment, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True
    ) as build:
        try:
            said = _progress(build.stderr or (), what, report)
            status = build.wait()
        except BaseException:
            build.kill()
            raise
    if status:
        raise _failure(command, status, said, what)


def _progress(lines: Iterable[str], what: str, report: Report) -> list[str]:
    """Count downloads and compiled packages into the progress line; return what else was said."""
    said: list[str] = []
    downloaded = compiled = 0
    noted = time.monotonic()
    for line in lines:
        if line.startswith("go: downloading "):
            downloaded += 1
        elif " " not in line.strip():  # -v prints each compiled package's path alone
            compiled += 1
        else:
            said.append(line)
        if time.monotonic() - noted >= _NOTE_EVERY:
            noted = time.monotonic()
            done = f"{compiled} packages compiled" if compiled else f"{downloaded} modules fetched"
            report.note(f"building {what} from its Go modules: {done}")
    return said


def _run(command: Sequence[str], source: Path, cache: Path) -> str:
    done = subprocess.run(command, cwd=source, env=go_environment(cache), capture_output=True, text=True, check=False)
    if done.returncode:
        raise _failure(command, done.returncode, [done.stderr], "a Go module")
    return done.stdout


def _failure(command: Sequence[str], status: int, said: Sequence[str], what: str) -> DeployError:
    output = "".join(said)
    if "no space left on device" in output:
        return DeployError(
            f"The disk filled up while building {what}.",
            said="\n".join(output.strip().splitlines()[-3:]),
            advice="Free some gigabytes and run this again; what was built so far is kept.",
        )
    if "GOTOOLCHAIN=local" in output:
        return DeployError(f"The installed Go is too old to build {what}.", said=output, advice=_INSTALL_GO)
    return ProcessError(
        ["go", *command[1:]],
        status=status,
        output=output,
        advice="If modules cannot be fetched, check the network and GOPROXY; then run this again.",
    )
