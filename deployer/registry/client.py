"""Speak the OCI distribution API: https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md.

On urllib3, which brings pools, TLS and streaming. The clients that PyPI has do not fit: oras tries a registry that is
away for two minutes and tells a refusal from a fault by words alone; python-dxf shows none on loopback a password.
"""

from __future__ import annotations

import errno
import json
import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlencode, urljoin, urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3

from deployer.oci import digest_of
from deployer.registry.credentials import Credentials
from deployer.registry.errors import RegistryError, refusal, unreachable
from deployer.registry.name import RegistryName
from deployer.registry.token import authorization

_OK, _CREATED, _ACCEPTED, _UNAUTHORIZED, _NOT_FOUND = 200, 201, 202, 401, 404
# A registry's passing faults, and its request for patience.
_PASSING = (429, 500, 502, 503, 504)
_TRIES = 3
_NO_SPACE = errno.ENOSPC
_PAUSE = 1.0
_LONGEST_PAUSE = 15.0
_TIMEOUT = urllib3.Timeout(connect=10, read=120)
_CHUNK = 1 << 20

Answer = urllib3.BaseHTTPResponse
Body = Callable[[], Any]
Sent = Callable[[int], None]


class Registry:
    """Hold the connections to one registry.

    Args:
        name: where it is.
        credentials: what it is shown when it asks.
    """

    def __init__(self, name: RegistryName, credentials: Credentials) -> None:
        self.name = name
        self._credentials = credentials
        self._authorization: dict[str, str] = {}

    def repository(self, image: str) -> Repository:
        """Return the repository of an image's own name."""
        return Repository(self, f"{self.name.path}/{image}" if self.name.path else image)

    def check(self) -> None:
        """See that it answers as a registry does.

        Raises:
            RegistryError: it does not.
        """
        answer = self.request("GET", f"{self.name.base}/v2/", scope="")
        is_page = "html" in answer.headers.get("content-type", "")
        # A token for nothing in particular may be worth nothing here; a password is right or wrong at once.
        by_token = answer.headers.get("www-authenticate", "").lower().startswith("bearer")
        if is_page or not (answer.status == _OK or (answer.status == _UNAUTHORIZED and by_token)):
            raise self.refused("The registry could not be asked", answer, self.name.host)

    def request(
        self, method: str, url: str, *, scope: str, headers: Mapping[str, str] | None = None, body: Body | None = None
    ) -> Answer:
        """Ask, show credentials when they are asked for, and ask again, a few times, after a passing fault.

        Args:
            method: of HTTP.
            url: the whole address; credentials go to the registry's own host alone.
            scope: the repository, for which a token is kept.
            headers: besides those of every request.
            body: makes what is sent, anew for each try.

        Raises:
            RegistryError: it does not answer.
        """
        for attempt in range(_TRIES):
            try:
                answer = self._ask(method, url, scope, headers or {}, body)
            except (urllib3.exceptions.HTTPError, OSError) as error:
                if isinstance(error, OSError) and error.errno == _NO_SPACE:
                    raise
                if attempt == _TRIES - 1:
                    raise unreachable(urlsplit(url).netloc, error) from error
                time.sleep(_PAUSE * 2**attempt)
                continue
            if answer.status not in _PASSING or attempt == _TRIES - 1:
                break
            time.sleep(_patience(answer, attempt))
        return answer

    def refused(self, what: str, answer: Answer, place: str) -> RegistryError:
        """Turn an answer that is no success into a paragraph."""
        kind = answer.headers.get("content-type", "")
        return refusal(what, answer.status, kind, answer.data, place=place, known=bool(self._credentials))

    def _ask(self, method: str, url: str, scope: str, headers: Mapping[str, str], body: Body | None) -> Answer:
        own = urlsplit(url).netloc == urlsplit(self.name.base).netloc
        shown = self._authorization.get(scope, "") if own else ""
        answer = self._send(method, url, headers, shown, body)
        if answer.status != _UNAUTHORIZED or not own:
            return answer
        challenge = answer.headers.get("www-authenticate", "")
        found = authorization(challenge, self._credentials, self._pool, plain=self.name.plain)
        if not found or found == shown:
            return answer
        self._authorization[scope] = found
        return self._send(method, url, headers, found, body)

    def _send(self, method: str, url: str, headers: Mapping[str, str], shown: str, body: Body | None) -> Answer:
        sent = {"user-agent": "stampchat", **headers, **({"authorization": shown} if shown else {})}
        # Only what is read may lead elsewhere; urllib3 then leaves the credentials behind.
        redirect = method in ("GET", "HEAD")
        return self._pool.request(method, url, headers=sent, body=body() if body else None, redirect=redirect)

    @cached_property
    def _pool(self) -> urllib3.PoolManager:
        proxy = getproxies().get(urlsplit(self.name.base).scheme)
        options: dict[str, Any] = {
            "timeout": _TIMEOUT,
            "retries": urllib3.Retry(0, redirect=5, raise_on_redirect=False),
        }
        if self.name.authority is not None:
            options["ca_certs"] = str(self.name.authority)
        # An address that stands for a name is one that only this machine reaches.
        if proxy and not self.name.address and not proxy_bypass(self.name.host.partition(":")[0]):
            return urllib3.ProxyManager(proxy, **options)
        return urllib3.PoolManager(**options)


class Repository:
    """Send one image's parts.

    Args:
        registry: where to.
        path: the repository's, after the registry's host.
    """

    def __init__(self, registry: Registry, path: str) -> None:
        self._registry = registry
        self.path = path

    @property
    def place(self) -> str:
        """The name that references have."""
        return f"{self._registry.name.host}/{self.path}"

    def has_blob(self, digest: str) -> bool:
        """Tell whether the registry has a blob."""
        answer = self._request("HEAD", f"blobs/{digest}")
        if answer.status not in (_OK, _NOT_FOUND):
            raise self._registry.refused(f"Whether {digest} is there could not be asked", answer, self.place)
        return answer.status == _OK

    def send_blob(self, digest: str, source: bytes | Path, *, sent: Sent, borrow_from: str = "") -> bool:
        """Send a blob unless the registry has it.

        Args:
            digest: of its bytes.
            source: its bytes, or the file that holds them.
            sent: is told of each part that went out, in bytes.
            borrow_from: another repository of the registry that has it, which may lend it.

        Returns:
            Whether it was sent.

        Raises:
            RegistryError: the registry refuses, or does not answer.
        """
        if self.has_blob(digest):
            return False
        lent = f"?{urlencode({'mount': digest, 'from': borrow_from})}" if borrow_from else ""
        begun = self._request("POST", f"blobs/uploads/{lent}", headers={"content-length": "0"})
        if begun.status == _CREATED:
            return False
        if begun.status != _ACCEPTED or "location" not in begun.headers:
            raise self._registry.refused("The push could not begin", begun, self.place)
        url = urljoin(self._url("blobs/uploads/"), begun.headers["location"])
        url += ("&" if urlsplit(url).query else "?") + urlencode({"digest": digest})
        size = len(source) if isinstance(source, bytes) else source.stat().st_size
        headers = {"content-type": "application/octet-stream", "content-length": str(size)}
        answer = self._registry.request("PUT", url, scope=self.path, headers=headers, body=lambda: _parts(source, sent))
        if answer.status != _CREATED:
            raise self._registry.refused(f"{digest} could not be sent", answer, self.place)
        return True

    def send_manifest(self, reference: str, media_type: str, content: bytes) -> Mapping[str, str]:
        """Send a manifest or an index, whose parts must be there; a tag moves with it, at once.

        Args:
            reference: its digest, or a tag.
            media_type: what it is.
            content: its bytes.

        Returns:
            The headers of the answer.

        Raises:
            RegistryError: the registry refuses, or keeps something else.
        """
        answer = self._request("PUT", f"manifests/{reference}", {"content-type": media_type}, lambda: content)
        if answer.status != _CREATED:
            raise self._registry.refused(f"The manifest {reference} could not be sent", answer, self.place)
        kept = answer.headers.get("docker-content-digest", digest_of(content))
        if kept != digest_of(content):
            raise RegistryError(
                f"{self.place} keeps {kept} for the manifest {digest_of(content)}.",
                advice="This registry rewrites manifests, so nothing can be named by digest in it. Use another.",
            )
        return answer.headers

    def read_manifest(self, reference: str, media_type: str) -> dict[str, Any] | None:
        """Return a manifest, or nothing where there is none.

        Args:
            reference: its digest, or a tag.
            media_type: what it is taken for.
        """
        answer = self._request("GET", f"manifests/{reference}", {"accept": media_type})
        if answer.status == _NOT_FOUND:
            return None
        if answer.status != _OK:
            raise self._registry.refused(f"The manifest {reference} could not be read", answer, self.place)
        found = json.loads(answer.data)
        return found if isinstance(found, dict) else None

    def _url(self, rest: str) -> str:
        return f"{self._registry.name.base}/v2/{self.path}/{rest}"

    def _request(
        self, method: str, rest: str, headers: Mapping[str, str] | None = None, body: Body | None = None
    ) -> Answer:
        return self._registry.request(method, self._url(rest), scope=self.path, headers=headers, body=body)


def _parts(source: bytes | Path, sent: Sent) -> Iterator[bytes]:
    """Yield a blob in parts, each told as it goes out."""
    if isinstance(source, bytes):
        yield source
        sent(len(source))
        return
    with source.open("rb") as file:
        yield from _told(file, sent)


def _told(file: IO[bytes], sent: Sent) -> Iterator[bytes]:
    while part := file.read(_CHUNK):
        yield part
        sent(len(part))


def _patience(answer: Answer, attempt: int) -> float:
    """Return the seconds to wait: what the registry says, if it says so in seconds, and not for long."""
    asked = answer.headers.get("retry-after", "")
    return min(float(asked), _LONGEST_PAUSE) if asked.isdigit() else _PAUSE * 2**attempt
