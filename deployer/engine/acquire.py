"""Find the Pulumi engine, or have it downloaded or built: the first way that works."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from deployer.errors import DeployError
from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.download import download_archive, extract_files
from deployer.fetch.errors import DownloadError
from deployer.fetch.gomod import go_build
from deployer.fetch.seal import is_intact, seal
from deployer.report import Report
from deployer.versions import load_versions, machine_arch, machine_os
from deployer.workspace import Workspace

_PACKAGE = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
_VERSION_VARIABLE = "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version"
# Of the release's twenty programs: the engine, and what runs Python programs.
_KEPT = frozenset({"pulumi", "pulumi-language-python", "pulumi-language-python-exec"})
_ADVICE = (
    "Install the Pulumi CLI {version} (https://www.pulumi.com/docs/install/) so that `pulumi` is on PATH, "
    "or Go (https://go.dev/dl) so that it can be built; then run this again."
)


@dataclass(frozen=True)
class Engine:
    """Name an engine that fits.

    Attributes:
        pulumi: its executable.
        version: its version.
        source: where it came from.
    """

    pulumi: Path
    version: str
    source: Literal["path", "cache", "release", "build"]


def is_engine_at_hand(workspace: Workspace) -> bool:
    """Tell whether an engine can be had without a download or a build."""
    version = str(load_versions()["engine"]["version"])
    return shutil.which("pulumi") is not None or (workspace.cache / "engine" / version / "pulumi").exists()


def ensure_engine(workspace: Workspace, report: Report, *, on_path: bool = True) -> Engine:
    """Return an engine of our minor version: from PATH, the cache, the official release, or its Go modules.

    Args:
        workspace: where the cache and the build's sources are.
        report: where progress goes.
        on_path: whether one on PATH will do; what is taken elsewhere must lie in the cache.

    Raises:
        DeployError: none can be had; it says what was tried and why each failed.
    """
    entry = load_versions()["engine"]
    version = str(entry["version"])
    tried: list[str] = []
    found = _find_on_path(version, report, tried) if on_path else None
    if found is not None:
        return found
    pulumi = workspace.cache / "engine" / version / "pulumi"
    if is_intact(pulumi):
        return Engine(pulumi, version, "cache")
    with exclusive(pulumi.parent):
        if is_intact(pulumi):  # another run made it while we waited
            return Engine(pulumi, version, "cache")
        try:
            _download(entry, pulumi.parent, report)
        except DownloadError as error:
            tried.append(f"the official release: {error}")
        else:
            seal(pulumi)
            return Engine(pulumi, version, "release")
        try:
            _build(workspace, version, pulumi, report)
        except DeployError as error:
            tried.append(f"a build from its Go modules: {error}")
            advice = _ADVICE.format(version=version)
            raise DeployError("No Pulumi engine could be had.", said="\n".join(tried), advice=advice) from error
    seal(pulumi)
    return Engine(pulumi, version, "build")


def _find_on_path(version: str, report: Report, tried: list[str]) -> Engine | None:
    found = shutil.which("pulumi")
    if found is None:
        tried.append("PATH: it has no `pulumi`")
        return None
    there = _ask_version(Path(found))
    if _minor(there) == _minor(version):
        return Engine(Path(found), there, "path")
    reason = f"{found} is {there or 'of no version that it tells'}, and the programs need {_minor(version)}"
    report.note(f"{reason}: looking for another")
    tried.append(f"PATH: {reason}")
    return None


def _download(entry: dict[str, Any], folder: Path, report: Report) -> None:
    fields = {
        "version": entry["version"],
        "os": machine_os(),
        "arch": machine_arch(),
        "pulumi_arch": entry["pulumi_arch"][machine_arch()],
    }
    url = entry["release"].format(**fields)
    name = url.rsplit("/", 1)[1]
    report.note(f"asking for the official release of Pulumi {entry['version']}")
    with staging(folder) as fresh:
        archive = fresh / name
        checksums = entry["checksums"].format(**fields)
        download_archive(url, checksums, archive_name=name, destination=archive, report=report)
        extract_files(archive, fresh / "engine", only=_KEPT)
        if _ask_version(fresh / "engine" / "pulumi") != entry["version"]:
            raise DownloadError(url, "its `pulumi` does not run here")
        replace_folder(fresh / "engine", folder)


def _build(workspace: Workspace, version: str, pulumi: Path, report: Report) -> None:
    go_build(
        workspace.root / "deployer" / "engine" / "go",
        _PACKAGE,
        pulumi,
        cache=workspace.cache,
        ldflags=f"-X {_VERSION_VARIABLE}=v{version}",
        what=f"the Pulumi engine {version}",
        takes="about 4 minutes",
        report=report,
    )


def _ask_version(pulumi: Path) -> str:
    """Return the version that an engine tells of itself, or "" when it does not run."""
    quiet = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true"}
    try:
        done = subprocess.run([pulumi, "version"], capture_output=True, text=True, timeout=30, check=False, env=quiet)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().removeprefix("v") if done.returncode == 0 else ""


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])
