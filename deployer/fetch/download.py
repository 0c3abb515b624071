"""Download a release and believe it only when it matches its publisher's checksum file."""

from __future__ import annotations

import hashlib
import shutil
import tarfile
import threading
import time
from collections.abc import Container, Iterator
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import IO
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from deployer.fetch.atomic import settle, staging
from deployer.fetch.errors import DownloadError
from deployer.report import Report

# Where the internet is closed, names do not resolve or connections hang: both are told apart from slow within this.
_ANSWER_WITHIN = 3.0
_STALLED_AFTER = 10.0
_SLOWEST = 20_000  # bytes a second, on average once the stall time is over
_MB = 20  # bits
_CHUNK = 1 << _MB
_CHECKSUMS_LIMIT = 1 << 20
# Sums by their length. The releases of Pulumi's bridged plugins, random among them, come with SHA-1: `shasum` without
# an option makes it, in .github/workflows/publish.yml of pulumi/pulumi-random.
_KINDS = {40: "sha1", 64: "sha256", 128: "sha512"}


def download_archive(url: str, checksums_url: str, *, archive_name: str, destination: Path, report: Report) -> None:
    """Download one release file, verified, and move it into its place when it is whole.

    Proxies are taken from the environment.

    Args:
        url: the file's address.
        checksums_url: its publisher's list of sums: SHA-256 as a rule, SHA-1 where the publisher has no other.
        archive_name: the file's name in that list.
        destination: the path that the file gets.
        report: where progress goes.

    Raises:
        DownloadError: no answer within seconds, a refusal, a stall, a file cut short, or a wrong sum.
    """
    expected = _read_checksum(checksums_url, archive_name)
    kind = _KINDS.get(len(expected))
    if kind is None:
        raise DownloadError(checksums_url, f"its sum for {archive_name} is of no kind that we know")
    with staging(destination) as folder:
        fresh = folder / destination.name
        try:
            actual = _save(url, fresh, archive_name, kind, report)
        except OSError as error:
            raise DownloadError(url, f"it could not be written to {destination.parent} ({error.strerror})") from error
        if actual != expected:
            raise DownloadError(url, f"its {kind} is {actual}, the publisher says {expected}")
        settle(fresh, destination)


def answers(url: str) -> str:
    """Return "" when an address has something, or in a few words why not; within seconds, and nothing is kept.

    Args:
        url: the address.
    """
    try:
        _open(url).close()
    except DownloadError as error:
        return error.reason
    return ""


def extract_files(archive: Path, into: Path, *, only: Container[str] | None = None) -> list[Path]:
    """Extract the regular files of a .tar.gz into one flat folder, whatever folders the archive has.

    Args:
        archive: a verified archive.
        into: the folder.
        only: the names of the files to take; all of them if None.

    Raises:
        DownloadError: it is no archive.
    """
    into.mkdir(parents=True, exist_ok=True)
    written = []
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                path = into / Path(member.name).name
                wanted = member.isreg() and (only is None or path.name in only)
                source = tar.extractfile(member) if wanted else None
                if source is None:
                    continue
                with source, path.open("wb") as target:
                    shutil.copyfileobj(source, target)
                path.chmod(0o755 if member.mode & 0o100 else 0o644)
                written.append(path)
    except (tarfile.TarError, EOFError) as error:
        raise DownloadError(archive.name, f"not a readable archive ({error})") from error
    return written


def _read_checksum(url: str, archive_name: str) -> str:
    with _open(url) as response:
        text = b"".join(_chunks(response, url, limit=_CHECKSUMS_LIMIT)).decode("utf-8", "replace")
    for line in text.splitlines():
        words = line.split()
        if len(words) == 2 and words[1].removeprefix("*").removeprefix("./") == archive_name:  # noqa: PLR2004  # "sum  name"
            return words[0].lower()
    raise DownloadError(url, f"it has no sum for {archive_name}")


def _save(url: str, path: Path, archive_name: str, kind: str, report: Report) -> str:
    """Write the file and return its sum."""
    digest = hashlib.new(kind, usedforsecurity=False)  # what vouches for a sum is TLS to its publisher
    received = 0
    with _open(url) as response, path.open("wb") as file:
        size = int(response.headers.get("Content-Length") or 0)
        for chunk in _chunks(response, url):
            file.write(chunk)
            digest.update(chunk)
            received += len(chunk)
            if received >> _MB != (received - len(chunk)) >> _MB:
                report.note(f"downloading {archive_name}: {received >> _MB} of {size >> _MB} MB")
    if received < size:
        raise DownloadError(url, f"cut short: {received:,} of {size:,} bytes")
    return digest.hexdigest()


def _chunks(response: HTTPResponse, url: str, *, limit: int | None = None) -> Iterator[bytes]:
    """Yield what comes, and give up on a publisher that trickles: each byte may be in time, and the last one never."""
    received = 0
    started = time.monotonic()
    while chunk := _read(response, url, received):
        yield chunk
        received += len(chunk)
        took = time.monotonic() - started
        if took > _STALLED_AFTER and received < took * _SLOWEST:
            raise DownloadError(url, f"too slow: {received:,} bytes in {took:.0f} s")
        if limit is not None and received > limit:
            raise DownloadError(url, f"longer than the {limit:,} bytes that a list of sums may have")


def _read(response: HTTPResponse, url: str, received: int) -> bytes:
    try:
        return response.read1(_CHUNK)
    except (OSError, HTTPException) as error:
        raise DownloadError(url, f"broke off after {received:,} bytes ({error})") from error


def _open(url: str) -> HTTPResponse:
    """Return the response once its headers are here; nothing, not even a slow resolver, takes longer than we wait."""
    if not _is_safe(url):
        raise DownloadError(url, "not an https address")
    answer = _Answer(url)
    thread = threading.Thread(target=answer.fetch, daemon=True)
    thread.start()
    thread.join(_ANSWER_WITHIN)
    return answer.response()


def _is_safe(url: str) -> bool:
    address = urlsplit(url)
    return address.scheme == "https" or address.hostname in ("127.0.0.1", "localhost")


class _SafeRedirects(HTTPRedirectHandler):
    """Follow a publisher to where its files lie, and nowhere without TLS: sums from there would vouch for anything."""

    def redirect_request(  # noqa: PLR0917  # the library's signature
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Request | None:
        """Return the request for the new address."""
        if not _is_safe(newurl):
            raise URLError(f"it redirects to {newurl}, not an https address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


class _Answer:
    """Hold what a request came to, in a thread that may be left behind."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._response: HTTPResponse | None = None
        self._error: DownloadError | None = None

    def fetch(self) -> None:
        """Ask, and keep the response or the reason why there is none."""
        request = Request(self._url, headers={"User-Agent": "stampchat"})  # noqa: S310  # the scheme was checked
        try:
            # An opener of its own reads the proxies as they are now; urlopen keeps those of its first use.
            self._response = build_opener(_SafeRedirects).open(request, timeout=_STALLED_AFTER)
        except HTTPError as error:
            self._error = DownloadError(self._url, f"HTTP {error.code}", reachable=_says_publisher(error.code))
        except URLError as error:
            self._error = DownloadError(self._url, str(error.reason), reachable=False)
        except (OSError, HTTPException) as error:
            self._error = DownloadError(self._url, str(error) or type(error).__name__, reachable=False)

    def response(self) -> HTTPResponse:
        """Return the response.

        Raises:
            DownloadError: there is none, or none yet.
        """
        if self._error is not None:
            raise self._error
        if self._response is None:
            raise DownloadError(self._url, f"no answer within {_ANSWER_WITHIN:.0f} s", reachable=False)
        return self._response


def _says_publisher(status: int) -> bool:
    """Tell a publisher's "no such file" from a proxy's refusal to let us out."""
    return status in (404, 410)
