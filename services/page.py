"""Serve the web page: files that a build named by their content, from memory, with headers that keep it safe."""

from __future__ import annotations

import gzip
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import hdrs, web

INDEX = "index.html"
PREFIX = "/web/"
# A name with a digest in it means one content for ever.
_FOR_EVER = "public, max-age=31536000, immutable"
# The index has one name and any content, so it is asked about each time, and answered by a word when it is the same.
_ASK = "no-cache"
_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
_CONFIG = '<meta name="stampchat" content="{}">'
# Nothing is guessed, told to other sites, framed by them, or asked of the device.
_SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
}


@dataclass(frozen=True)
class PageSettings:
    """Say which page is served, and what it is told.

    Attributes:
        folder: what the build made.
        config: what the page reads at its start; anybody can see it.
        hosts: other origins that it may call, such as https://identitytoolkit.googleapis.com.
    """

    folder: Path
    config: Mapping[str, object] = field(default_factory=dict)
    hosts: Sequence[str] = ()


@dataclass(frozen=True)
class Asset:
    """Be one file as it is sent.

    Attributes:
        body: as it is.
        packed: compressed.
        headers: with all that does not depend on who asks.
        etag: of the content.
    """

    body: bytes
    packed: bytes
    headers: Mapping[str, str]
    etag: str


def add_page(app: web.Application, settings: PageSettings) -> None:
    """Add `/` and everything under /web/ to a service's public port.

    Raises:
        OSError: the folder cannot be read.
    """
    assets = load_assets(settings)

    async def index(request: web.Request) -> web.Response:
        return _answer(request, assets[INDEX])

    async def file(request: web.Request) -> web.Response:
        name = request.match_info["name"]
        if name == INDEX or name not in assets:
            raise web.HTTPNotFound
        return _answer(request, assets[name])

    app.router.add_get("/", index)
    app.router.add_get(PREFIX + "{name}", file)


def load_assets(settings: PageSettings) -> dict[str, Asset]:
    """Read the folder once; it is a few hundred kilobytes.

    Raises:
        OSError: the folder cannot be read.
    """
    assets = {}
    for path in sorted(settings.folder.iterdir()):
        if path.suffix in _TYPES and path.is_file():
            assets[path.name] = _asset(path.name, path.read_bytes(), settings)
    return assets


def security_policy(hosts: Sequence[str] = ()) -> str:
    """Write the Content-Security-Policy: our own files and nothing else, and no text that becomes markup.

    Args:
        hosts: other origins that the page may call.
    """
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": " ".join(("'self'", *hosts)),
        "base-uri": "'none'",
        "form-action": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
        "trusted-types": "'none'",
    }
    return "; ".join(f"{name} {value}" for name, value in rules.items())


def _asset(name: str, content: bytes, settings: PageSettings) -> Asset:
    if name == INDEX:
        told = html.escape(json.dumps(settings.config, sort_keys=True))
        content = content.replace(_CONFIG.encode(), _CONFIG.replace("{}", told).encode())
    headers = {
        hdrs.CONTENT_TYPE: _TYPES[Path(name).suffix],
        hdrs.CACHE_CONTROL: _ASK if name == INDEX else _FOR_EVER,
        "Content-Security-Policy": security_policy(settings.hosts),
        **_SAFE,
    }
    digest = hashlib.sha256(content).hexdigest()[:32]
    return Asset(content, gzip.compress(content, mtime=0), headers, digest)


def _answer(request: web.Request, asset: Asset) -> web.Response:
    packs = re.search(r"\bgzip\b(?!\s*;\s*q=0(\.0*)?\s*(,|$))", request.headers.get(hdrs.ACCEPT_ENCODING, ""))
    # Two forms of one content are two things to a cache: https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3
    etag = f'"{asset.etag}-gzip"' if packs else f'"{asset.etag}"'
    headers = {**asset.headers, hdrs.ETAG: etag, hdrs.VARY: hdrs.ACCEPT_ENCODING}
    known = {tag.strip().removeprefix("W/") for tag in request.headers.get(hdrs.IF_NONE_MATCH, "").split(",")}
    if etag in known or "*" in known:
        del headers[hdrs.CONTENT_TYPE]
        return web.Response(status=304, headers=headers)
    if packs:
        headers[hdrs.CONTENT_ENCODING] = "gzip"
    return web.Response(body=asset.packed if packs else asset.body, headers=headers)
