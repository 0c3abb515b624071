"""Build the images with a document of what is in each, and push them to a registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deployer.files import write_whole
from deployer.images import BuiltImage, make_images, save_references
from deployer.images.build import SHORT
from deployer.images.contents import read_contents
from deployer.images.sbom import NOTICES_SUFFIX, SUFFIX, write_notices, write_sbom
from deployer.own_registry import located
from deployer.registry import Credentials, Registry, RegistryName, check_tag, find_credentials
from deployer.registry.push import Pusher
from deployer.report import Report
from deployer.workspace import Workspace


@dataclass(frozen=True)
class PublishedImage:
    """Name one image in its registry.

    Attributes:
        reference: what a Pod gives.
        tags: what it is called there besides.
        sent: bytes that went out.
        skipped: bytes that the registry had already.
        size: of its layers, of all platforms.
        platforms: for which it is.
        sboms: the documents, by platform.
    """

    reference: str
    tags: tuple[str, ...]
    sent: int
    skipped: int
    size: int
    platforms: tuple[str, ...]
    sboms: dict[str, str]


def document_images(images: dict[str, BuiltImage], report: Report) -> None:
    """Write an SBOM and the notices beside the archive of each image, unless they are there.

    Args:
        images: by name.
        report: where progress goes.
    """
    for name, image in images.items():
        for built in image.builds:
            sbom, notices = image.beside(built, SUFFIX), image.beside(built, NOTICES_SUFFIX)
            if sbom.exists() and notices.exists():
                continue
            report.note(f"listing what is in {name} for {built.arch}")
            contents = read_contents(built)
            write_whole(notices, write_notices(name, built, contents))
            write_whole(sbom, write_sbom(name, built, contents))


def push_images(
    workspace: Workspace,
    name: RegistryName,
    report: Report,
    *,
    platforms: Sequence[str] = (),
    tag: str = "",
    credentials: Credentials | None = None,
    file: Path | None = None,
) -> dict[str, PublishedImage]:
    """Build, push, and write the references for the programs once everything is in the registry.

    Args:
        workspace: the checkout.
        name: the registry, and the path in it.
        report: where progress goes.
        platforms: as "linux/arm64"; this machine's unless said.
        tag: one besides the tag that says what is in the image.
        credentials: what the registry is shown; those of Docker's configuration unless given, or of our own cluster.
        file: where the references are written; workspace.images unless given.

    Raises:
        DeployError: an image cannot be built, or the registry refuses or does not answer.
    """
    extra = [check_tag(tag)] if tag else []
    place, own = located(workspace, name)
    if credentials is None:
        credentials = own or find_credentials(name.credentials_key)
    registry = Registry(place, credentials)
    registry.check()
    images = make_images(workspace, report, registry=name.prefix, platforms=platforms)
    document_images(images, report)
    pusher = Pusher(registry, report)
    published = {}
    for own_name, image in images.items():
        sboms = {built.digest: image.beside(built, SUFFIX) for built in image.builds}
        tags = (image.digest.removeprefix("sha256:")[:SHORT], *extra)
        documents = {digest: path.read_bytes() for digest, path in sboms.items()}
        pushed = pusher.push(own_name, image.builds, documents, tags)
        published[own_name] = PublishedImage(
            reference=image.reference,
            tags=tags,
            sent=pushed.sent,
            skipped=pushed.skipped,
            size=image.size,
            platforms=tuple(f"linux/{built.arch}" for built in image.builds),
            sboms={f"linux/{built.arch}": str(sboms[built.digest]) for built in image.builds},
        )
    save_references(file or workspace.images, {own_name: image.reference for own_name, image in published.items()})
    return published
