"""Put the page together: each file under a name that its content makes, and every mention of it by that name.

Nothing is translated: modules are served as they are written, so what one reads in web/ is what runs. Only what they
import is named anew, since a name that changes with its content may be kept by a browser for ever.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

from deployer.errors import DeployError
from deployer.web.modules import Module

# Where the files are served; the gateways route this and the index alone.
PREFIX = "/web/"
INDEX = "index.html"
STYLE = "style.css"
NOTICES = "licences.txt"
# For an SBOM alone; it is not served.
PACKAGES = "packages.json"
_MAIN = "main.js"
_DIGITS = 12
# import … from "x", import "x", import("x"), export … from "x"; each on one line, as all of ours are written.
_IMPORT = re.compile(r"""(?P<head>\b(?:from|import)\s*\(?\s*)"(?P<name>[^"\n]+)"(?P<tail>\)?)""")
_LAZY = re.compile(r"""\bimport\s*\(\s*"([^"\n]+)"\s*\)""")
_MAP = re.compile(rb"\n//# sourceMappingURL=\S+\s*\Z")


def build_page(web: Path, modules: Mapping[str, Module]) -> dict[str, bytes]:
    """Return the files to serve: index.html, and all others under names with their digest.

    Args:
        web: the folder with the page's sources.
        modules: the npm packages, by the names by which ours import them.

    Raises:
        DeployError: a module imports what is not there, or two import each other.
    """
    sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(web.glob("*.js"))}
    sources |= {name: _MAP.sub(b"\n", module.source).decode() for name, module in modules.items()}
    files = _Files()
    script = _Scripts(sources, files)
    main = script.publish(_MAIN)
    styles = sorted((web / "style").glob("*.css"))
    style = files.add(STYLE, b"".join(path.read_bytes() for path in styles))
    icon = files.add("icon.svg", (web / "icon.svg").read_bytes())
    notices = files.add(NOTICES, _notices(modules))
    files.content[PACKAGES] = _packages(modules)
    index = (web / INDEX).read_text(encoding="utf-8")
    for name, published in ((_MAIN, main), (STYLE, style), ("icon.svg", icon), (NOTICES, notices)):
        index = index.replace(f'"{name}"', f'"{PREFIX}{published}"')
    # What main imports is fetched at once, and not one after the other as each is read.
    early = "".join(
        f'    <link rel="modulepreload" href="{PREFIX}{name}">\n' for name in script.early(_MAIN) if name != main
    )
    files.content[INDEX] = index.replace("  </head>", f"{early}  </head>").encode()
    return files.content


class _Files:
    """Hold what is published."""

    def __init__(self) -> None:
        self.content: dict[str, bytes] = {}

    def add(self, name: str, content: bytes) -> str:
        """Publish a file and return its name."""
        digest = hashlib.sha256(content).hexdigest()[:_DIGITS]
        stem, _, suffix = name.rpartition(".")
        published = f"{stem}.{digest}.{suffix}"
        self.content[published] = content
        return published


class _Scripts:
    """Publish modules, those that one imports before it: its own content names them.

    Args:
        sources: by the names by which they are imported, without "./".
        files: where they go.
    """

    def __init__(self, sources: Mapping[str, str], files: _Files) -> None:
        self._sources = sources
        self._files = files
        self._published: dict[str, str] = {}
        self._under_way: list[str] = []

    def publish(self, name: str) -> str:
        """Return a module's published name."""
        if name in self._published:
            return self._published[name]
        if name in self._under_way:
            circle = " -> ".join([*self._under_way[self._under_way.index(name) :], name])
            raise DeployError(f"Modules of the page import each other in a circle: {circle}.")
        self._under_way.append(name)
        source = self._sources[name]
        # A package is one module, whose comments may well speak of imports.
        text = _IMPORT.sub(lambda match: self._rename(name, match), source) if name.endswith(".js") else source
        self._under_way.pop()
        published = self._files.add(name if name.endswith(".js") else f"{name}.js", text.encode())
        self._published[name] = published
        return published

    def early(self, name: str) -> list[str]:
        """Return the published names of what a module needs to start, itself included."""
        needed: dict[str, None] = {}

        def visit(each: str) -> None:
            if self._published[each] in needed:
                return
            needed[self._published[each]] = None
            if not each.endswith(".js"):
                return
            late = set(_LAZY.findall(self._sources[each]))
            for match in _IMPORT.finditer(self._sources[each]):
                found = match["name"].removeprefix("./")
                if match["name"] not in late and found in self._sources:
                    visit(found)

        visit(name)
        return list(needed)

    def _rename(self, importer: str, match: re.Match[str]) -> str:
        name = match["name"].removeprefix("./")
        if name not in self._sources:
            raise DeployError(
                f"web/{importer} imports {match['name']!r}, which is neither in web/ nor in package.json."
            )
        return f'{match["head"]}"./{self.publish(name)}"{match["tail"]}'


def _packages(modules: Mapping[str, Module]) -> bytes:
    listed = [
        {"name": module.name, "version": module.version, "licence": module.licence, "notice": module.notice}
        for module in modules.values()
    ]
    return json.dumps(listed, indent=1).encode()


def _notices(modules: Mapping[str, Module]) -> bytes:
    """Write the licences of what others wrote, as those licences ask."""
    parts = [f"{module.name} {module.version} ({module.licence})\n\n{module.notice}\n" for module in modules.values()]
    return "\n\n".join(parts).encode()
