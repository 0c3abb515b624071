"""Write images as OCI image-layout archives, which a container engine imports.

The format is https://github.com/opencontainers/image-spec/blob/v1.1.0/image-layout.md.
"""

from __future__ import annotations

import tarfile
from collections.abc import Sequence
from pathlib import Path

from deployer.oci.images import (
    INDEX,
    Built,
    ImageSpec,
    build,
    build_index,
    canonical_json,
    describe,
    digest_of,
    digest_of_all,
)
from deployer.oci.layers import Entry, add_entry, whole_file

# containerd takes an imported image's name from this annotation as it stands, without adding a tag.
_NAME = "io.containerd.image.name"


def write_archive(image: ImageSpec, path: Path, *, arch: str) -> str:
    """Write an image for one processor as an archive; see write_archive_of.

    Args:
        image: what to write.
        path: where the tar goes, whole or not at all.
        arch: the processor in Go's words ("amd64").

    Returns:
        The manifest's digest, "sha256:…".
    """
    return write_archive_of(image.name, [build(image, arch=arch)], path)


def write_archive_of(name: str, builds: Sequence[Built], path: Path) -> str:
    """Write an OCI image layout as one tar that `ctr --namespace k8s.io images import` takes.

    The image is imported under `NAME@DIGEST`, the very reference that a Pod gives.

    Args:
        name: the repository with its registry ("stampchat.local/services").
        builds: the image, for one processor or several.
        path: where the tar goes, whole or not at all.

    Returns:
        The digest of the manifest, or of the index over several, "sha256:…".
    """
    digest = digest_of_all(builds)
    blobs: dict[str, bytes | Path] = {}
    for each in builds:
        blobs.update({digest_of(each.config): each.config, each.digest: each.manifest})
        blobs.update({layer.digest: layer.path for layer in each.layers})
    if len(builds) == 1:
        entry = builds[0].descriptor
    else:
        over_all = build_index(builds)
        blobs[digest] = over_all
        entry = describe(INDEX, over_all)
    entry = {**entry, "annotations": {_NAME: f"{name}@{digest}"}}
    index = canonical_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]})
    with whole_file(path) as file, tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
        add_entry(tar, Entry("oci-layout", source=canonical_json({"imageLayoutVersion": "1.0.0"})))
        for blob_digest, blob in sorted(blobs.items()):
            add_entry(tar, Entry(f"blobs/{blob_digest.replace(':', '/')}", source=blob))
        add_entry(tar, Entry("index.json", source=index))
    return digest
