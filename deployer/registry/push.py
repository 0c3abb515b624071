"""Push one image: parts first, what names them after, the tag last, so that a push cut off leaves the tag as it was."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from deployer import oci
from deployer.oci import INDEX, MANIFEST, Built
from deployer.registry.client import Registry, Repository
from deployer.report import Report

SBOM = "application/vnd.cyclonedx+json"
# https://github.com/opencontainers/image-spec/blob/v1.1.1/manifest.md#guidance-for-an-empty-descriptor
_EMPTY = b"{}"
_EMPTY_TYPE = "application/vnd.oci.empty.v1+json"


@dataclass
class Pushed:
    """Count what a push did.

    Attributes:
        sent: bytes that went out.
        skipped: bytes that the registry had.
    """

    sent: int = 0
    skipped: int = 0


class Pusher:
    """Push images to one registry; what one of its repositories has, the others borrow.

    Args:
        registry: where to.
        report: where progress goes.
    """

    def __init__(self, registry: Registry, report: Report) -> None:
        self._registry = registry
        self._report = report
        self._known: dict[str, str] = {}

    def push(self, name: str, builds: Sequence[Built], documents: Mapping[str, bytes], tags: Sequence[str]) -> Pushed:
        """Push an image for each of its platforms, an SBOM beside each, and the index over them.

        Args:
            name: the image's own ("services").
            builds: the image, for one platform or several.
            documents: the SBOM of each, by the digest of its manifest.
            tags: what the whole is called besides its digest.

        Raises:
            RegistryError: the registry refuses, or does not answer.
        """
        repository = self._registry.repository(name)
        pushed = Pushed()
        for built in builds:
            for layer in built.layers:
                self._blob(repository, layer.path, layer.digest, pushed, f"{name} for {built.arch}")
            self._blob(repository, built.config, oci.digest_of(built.config), pushed, f"{name}'s configuration")
            repository.send_manifest(built.digest, MANIFEST, built.manifest)
            if built.digest in documents:
                self._attach(repository, built, documents[built.digest], pushed)
        whole = (MANIFEST, builds[0].manifest) if len(builds) == 1 else (INDEX, oci.build_index(builds))
        for reference in (oci.digest_of(whole[1]), *tags):
            repository.send_manifest(reference, *whole)
        return pushed

    def _blob(self, repository: Repository, source: bytes | Path, digest: str, pushed: Pushed, what: str) -> None:
        """Send one blob, and tell how far it is."""
        gone, size = 0, len(source) if isinstance(source, bytes) else source.stat().st_size

        def sent(count: int) -> None:
            nonlocal gone
            gone += count
            self._report.note(f"pushing {what}: {gone / 1e6:.1f} of {size / 1e6:.1f} MB")

        lender = self._known.get(digest, "")
        if repository.send_blob(digest, source, sent=sent, borrow_from=lender if lender != repository.path else ""):
            pushed.sent += size
        else:
            pushed.skipped += size
        self._known[digest] = repository.path

    def _attach(self, repository: Repository, built: Built, document: bytes, pushed: Pushed) -> None:
        """Attach an SBOM as an artifact that names the image as its subject.

        https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-manifests-with-subject
        """
        for content in (_EMPTY, document):
            self._blob(repository, content, oci.digest_of(content), pushed, "its SBOM")
        artifact = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": SBOM,
            "config": oci.describe(_EMPTY_TYPE, _EMPTY),
            "layers": [oci.describe(SBOM, document)],
            "subject": oci.describe(MANIFEST, built.manifest),
        }
        content = oci.canonical_json(artifact)
        headers = repository.send_manifest(oci.digest_of(content), MANIFEST, content)
        if "oci-subject" not in headers:
            _list_by_tag(repository, built.digest, {**oci.describe(MANIFEST, content), "artifactType": SBOM})


def _list_by_tag(repository: Repository, subject: str, described: dict[str, Any]) -> None:
    """List an artifact under the tag that stands in for the referrers API, beside what others listed there.

    https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#unavailable-referrers-api
    """
    tag = subject.replace(":", "-")
    found = repository.read_manifest(tag, INDEX) or {}
    others = found.get("manifests", [])
    if any(other.get("digest") == described["digest"] for other in others):
        return
    listed = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*others, described]}
    repository.send_manifest(tag, INDEX, oci.canonical_json(listed))
