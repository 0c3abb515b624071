"""Put the plugins where the engine finds them: the official ones where they can be had, else our stand-ins."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from deployer.fetch.atomic import exclusive, replace_folder, staging
from deployer.fetch.attempts import failed_lately, remember_failure
from deployer.fetch.download import download_archive, extract_files
from deployer.fetch.errors import DownloadError
from deployer.fetch.gomod import module_dir
from deployer.files import program
from deployer.report import Report
from deployer.versions import load_versions, machine_arch, machine_os
from deployer.workspace import Workspace

_HOST = "pulumi-language-python"
_EXEC = "pulumi-language-python-exec"
_SDK = "github.com/pulumi/pulumi/sdk/v3"


@dataclass(frozen=True)
class Plugins:
    """Say what serves.

    Attributes:
        source: whose resource plugins they are.
        language: whose language host it is; the official release of the engine brings its own.
        reason: why the stand-ins serve, or "".
        path_entries: folders to put before PATH for the engine: none, all plugins lie in its home.
        environment: what the engine's environment needs, so that it takes these plugins and no others.
        host: the executable of our language host, where it is ours.
    """

    source: Literal["official", "stand-in"]
    language: Literal["official", "stand-in"]
    reason: str = ""
    path_entries: tuple[Path, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    host: Path | None = None


def install_plugins(workspace: Workspace, report: Report) -> Plugins:
    """Fill the engine's own home with the resource plugins and the language host.

    The official plugins are tried by download once a day; they and our stand-ins open each other's state.

    Args:
        workspace: where the home is; the user's ~/.pulumi is never touched.
        report: where progress goes.

    Raises:
        DeployError: the start-up file for Python programs cannot be had.
    """
    reason = _fetch_official(workspace.cache, report)
    for name, entry in load_versions()["plugins"].items():
        executable = f"pulumi-resource-{name}"
        folder = workspace.pulumi_home / "plugins" / f"resource-{name}-v{entry['version']}"
        if reason:
            _write_shim(folder / executable, f"deployer.plugins.{name}", workspace.root)
        else:
            _link(_official(workspace.cache, name, entry) / executable, folder / executable)
    bundled = (_engine_folder(workspace.cache) / _HOST).exists()  # the engine prefers it to what is in its home
    host = None if bundled else _install_host(workspace, report)
    environment = {"PULUMI_HOME": str(workspace.pulumi_home), "PULUMI_IGNORE_AMBIENT_PLUGINS": "true"}
    if reason:
        environment["PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION"] = "true"
    return Plugins(
        source="stand-in" if reason else "official",
        language="official" if bundled else "stand-in",
        reason=reason,
        environment=environment,
        host=host,
    )


def _install_host(workspace: Workspace, report: Report) -> Path:
    """Write our language host and, beside it, Pulumi's own start-up file; return the host."""
    version = load_versions()["engine"]["version"]
    folder = workspace.pulumi_home / "plugins" / f"language-python-v{version}"
    _write_shim(folder / _HOST, "deployer.plugins.language", workspace.root)
    if not (folder / _EXEC).exists():
        report.note("fetching Pulumi's start-up file for Python programs")
        _write(folder / _EXEC, _find_exec(workspace).read_text(encoding="utf-8"), mode=0o755)
    return folder / _HOST


def _find_exec(workspace: Workspace, *, on_path: bool = True) -> Path:
    """Find the start-up file beside the official engine, or in the Go module that the engine is built with."""
    for folder in (_engine_folder(workspace.cache), *(_engine_on_path() if on_path else [])):
        if (folder / _EXEC).exists():
            return folder / _EXEC
    kept = workspace.cache / "language" / f"v{load_versions()['engine']['version']}" / _EXEC
    if not kept.exists():
        sources = workspace.root / "deployer" / "engine" / "go"
        found = module_dir(sources, _SDK, cache=workspace.cache) / "python" / "cmd" / _EXEC
        _write(kept, found.read_text(encoding="utf-8"), mode=0o755)
    return kept


def is_start_file_at_hand(workspace: Workspace) -> bool:
    """Tell whether Python programs can be started without a download."""
    version = load_versions()["engine"]["version"]
    folders = [_engine_folder(workspace.cache), *_engine_on_path(), workspace.cache / "language" / f"v{version}"]
    return any((folder / _EXEC).exists() for folder in folders)


def files(workspace: Workspace, report: Report) -> list[Path]:
    """Return every file of the cache that plugins are installed from elsewhere; what is missing is fetched first.

    Args:
        workspace: whose cache.
        report: where progress goes.

    Raises:
        DeployError: the start-up file for Python programs cannot be had.
    """
    reason = _fetch_official(workspace.cache, report)
    official = [] if reason else [_official(workspace.cache, *item) for item in load_versions()["plugins"].items()]
    found = [path for folder in official for path in sorted(folder.iterdir())]
    return [*found, _find_exec(workspace, on_path=False)]


def _engine_folder(cache: Path) -> Path:
    return cache / "engine" / str(load_versions()["engine"]["version"])


def _engine_on_path() -> list[Path]:
    found = shutil.which("pulumi")
    return [Path(found).resolve().parent] if found else []


def _fetch_official(cache: Path, report: Report) -> str:
    """Have the official plugins in the cache; return "" or why they cannot be had."""
    for name, entry in load_versions()["plugins"].items():
        folder = _official(cache, name, entry)
        if folder.is_dir():
            continue
        key = f"plugins/{name}/{entry['version']}"
        reason = failed_lately(cache, key)
        if reason is None:
            reason = _download(folder, name, entry, report)
            if reason:
                remember_failure(cache, key, reason)
        if reason:
            return reason
    return ""


def _download(folder: Path, name: str, entry: dict[str, Any], report: Report) -> str:
    fields = {"version": entry["version"], "os": machine_os(), "arch": machine_arch()}
    url = entry["release"].format(**fields)
    archive_name = url.rsplit("/", 1)[1]
    report.note(f"asking for the official plugin {name} {entry['version']}")
    try:
        with exclusive(folder), staging(folder) as fresh:
            archive = fresh / archive_name
            checksums = entry["checksums"].format(**fields)
            download_archive(url, checksums, archive_name=archive_name, destination=archive, report=report)
            extract_files(archive, fresh / "plugin")
            replace_folder(fresh / "plugin", folder)
    except DownloadError as error:
        return str(error)
    return ""


def _official(cache: Path, name: str, entry: dict[str, Any]) -> Path:
    return cache / "plugins" / f"{name}-v{entry['version']}"


def _write_shim(path: Path, module: str, root: Path) -> None:
    code = (
        f"import runpy, sys; sys.path.insert(0, {str(root)!r}); sys.argv[0] = {str(path)!r}; "
        f"runpy.run_module({module!r}, run_name='__main__')"
    )
    _write(path, program(code), mode=0o755)


def _write(path: Path, text: str, *, mode: int) -> None:
    """Write a small file whole, unless it is there already."""
    with suppress(FileNotFoundError, IsADirectoryError):
        if not path.is_symlink() and path.read_bytes() == text.encode():
            return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.write_text(text, encoding="utf-8")
    fresh.chmod(mode)
    fresh.replace(path)


def _link(target: Path, path: Path) -> None:
    """Link to a program in the cache; the engine wants the plugin's folder itself to be a real one."""
    if path.is_symlink() and path.readlink() == target:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    fresh.unlink(missing_ok=True)
    fresh.symlink_to(target)
    fresh.replace(path)
