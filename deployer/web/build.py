"""Put the page together: its modules as one script by esbuild, and each file under a name that its content makes.

A name that changes with its content may be kept by a browser for ever. The same sources and lock make the same bytes on
any machine: esbuild's own names would depend on where the checkout lies, so they are not used.
"""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from deployer.errors import ProcessError
from deployer.web.modules import Module, Modules

# Where the files are served; the gateways route this and the index alone.
PREFIX = "/web/"
INDEX = "index.html"
# For an SBOM alone; it is not served.
PACKAGES = "packages.json"
_MAIN = "main.js"
_DIGITS = 12
# Browsers of the last three years: https://esbuild.github.io/api/#target
_TARGET = "es2022"
# How a script of esbuild's names another one.
_IMPORT = re.compile(r'(?P<head>\b(?:from|import)\s*\(?\s*)"\./(?P<name>[^"]+)"')


def build_page(web: Path, modules: Modules) -> dict[str, bytes]:
    """Return the files to serve: index.html, and all others under names with their digest.

    Args:
        web: the folder with the page's sources.
        modules: the npm packages.

    Raises:
        ProcessError: a module or a style sheet cannot be read; esbuild says which line.
    """
    files: dict[str, bytes] = {PACKAGES: _packages(modules.used)}
    scripts = _bundle(web, modules)
    published: dict[str, str] = {}
    named = {
        _MAIN: _publish_script(_MAIN, scripts, files, published),
        "style.css": _publish(files, "style.css", _styles(web, modules)),
        "icon.svg": _publish(files, "icon.svg", (web / "icon.svg").read_bytes()),
        "licences.txt": _publish(files, "licences.txt", _notices(modules.used)),
    }
    index = (web / INDEX).read_text(encoding="utf-8")
    for name, new in named.items():
        index = index.replace(f'"{name}"', f'"{PREFIX}{new}"')
    files[INDEX] = index.encode()
    return files


def _bundle(web: Path, modules: Modules) -> dict[str, str]:
    """Return the scripts by name: the main one, and those that are fetched when somebody needs them."""
    with tempfile.TemporaryDirectory(prefix="stampchat-page-") as folder:
        names = ["--entry-names=[name]", "--chunk-names=[name]"]
        options = ["--bundle", "--splitting", "--format=esm", f"--target={_TARGET}", f"--outdir={folder}", *names]
        _esbuild(web, modules, [_MAIN, *options])
        return {path.name: path.read_text(encoding="utf-8") for path in sorted(Path(folder).glob("*.js"))}


def _styles(web: Path, modules: Modules) -> bytes:
    sheets = b"".join(path.read_bytes() for path in sorted((web / "style").glob("*.css")))
    return _esbuild(web, modules, ["--loader=css"], sheets)


def _esbuild(web: Path, modules: Modules, options: Sequence[str], content: bytes = b"") -> bytes:
    quiet = ["--log-level=error", "--log-limit=1", "--color=false"]
    usual = ["--minify", "--charset=utf8", "--legal-comments=none", *quiet]
    command = [str(modules.esbuild), *options, *usual]
    # It looks for packages beside our modules, where there are none.
    environ = {"NODE_PATH": str(modules.folder)}
    done = subprocess.run(command, cwd=web, env=environ, input=content, capture_output=True, check=False)
    if done.returncode:
        said = done.stderr.decode(errors="replace")
        raise ProcessError(["esbuild", *options[:1]], status=done.returncode, output=said)
    return done.stdout


def _publish(files: dict[str, bytes], name: str, content: bytes) -> str:
    """Add a file and return the name that its content makes."""
    stem, _, suffix = name.rpartition(".")
    published = f"{stem}.{hashlib.sha256(content).hexdigest()[:_DIGITS]}.{suffix}"
    files[published] = content
    return published


def _publish_script(name: str, scripts: Mapping[str, str], files: dict[str, bytes], published: dict[str, str]) -> str:
    """Add a script, those that it names before it: its own content holds their names."""
    if name not in published:

        def rename(match: re.Match[str]) -> str:
            if match["name"] not in scripts:
                return match[0]
            return f'{match["head"]}"./{_publish_script(match["name"], scripts, files, published)}"'

        text = _IMPORT.sub(rename, scripts[name])
        published[name] = _publish(files, name, text.encode())
    return published[name]


def _packages(used: Sequence[Module]) -> bytes:
    listed = [
        {"name": module.name, "version": module.version, "licence": module.licence, "notice": module.notice}
        for module in used
    ]
    return json.dumps(listed, indent=1).encode()


def _notices(used: Sequence[Module]) -> bytes:
    """Write the licences of what others wrote, as those licences ask."""
    parts = [f"{module.name} {module.version} ({module.licence})\n\n{module.notice}\n" for module in used]
    return "\n\n".join(parts).encode()
